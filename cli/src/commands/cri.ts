/** `sampan cri`: serves CRI v1 on a unix socket, in the foreground, for a kubelet or crictl. */
import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { Failure } from '../failure.ts';
import { currentInstance } from '../instance.ts';
import { type NetworkOptions, networkEnvironment } from '../setup/network-options.ts';
import { runtimePackages } from '../setup/packages.ts';
import { serverEnvironment, serverFlags } from '../setup/server-process.ts';
import { prepare } from './up.ts';

export interface CriOptions extends NetworkOptions {
  listen: string;
  home?: string;
}

/** Ends with the process it started; the exit code is that one's. */
export async function cri(options: CriOptions): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new Failure('sampan cri needs root', { why: 'it makes bridges, taps and cgroups', mend: 'run it with sudo' });
  if (options.home) process.env.SAMPAN_HOME = resolve(options.home);
  const socketPath = socketPathOf(options.listen);
  const instance = currentInstance();
  const built = await prepare(runtimePackages, { quiet: !process.stderr.isTTY });
  const directoryOf = (name: string) => built.find((artifact) => artifact.name === name)?.directory;
  const child = spawn(process.execPath, [...serverFlags, join(instance.root, 'platform/src/cmd/cri.ts')], {
    // The channel tells the child when we are gone, however we went.
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    cwd: '/',
    env: {
      ...process.env,
      SAMPAN_CRI_SOCKET: socketPath,
      ...networkEnvironment(options),
      SAMPAN_GUEST_DIR: directoryOf('guest'),
      SAMPAN_HOST_DIR: directoryOf('host'),
      ...serverEnvironment(instance.cache),
    },
  });
  child.once('message', () => process.stderr.write(readyWords(socketPath)));
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => child.kill(signal));
  const code = await new Promise<number>((done) => child.once('exit', (exit) => done(exit ?? 1)));
  process.exitCode = code;
}

/** `unix:///path` or a path. */
function socketPathOf(listen: string): string {
  const path = listen.replace(/^unix:(\/\/)?/, '');
  if (path.startsWith('/')) return path;
  throw new Failure(`--listen ${listen}`, {
    why: 'CRI is served on a unix socket',
    mend: 'give a path, such as unix:///run/sampan/cri.sock',
  });
}

const readyWords = (socketPath: string): string => `
Sampan serves CRI v1 at unix://${socketPath}

  crictl --runtime-endpoint unix://${socketPath} info
  kubelet --container-runtime-endpoint=unix://${socketPath} ...

Stop with Ctrl-C or SIGTERM: Pods go on, and are taken up by the next start.
`;
