/** `sampan runtime`: the one process of a node that runs tasks of containerd and containers of OCI command lines, in the foreground. */
import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { Failure } from '../failure.ts';
import { currentInstance } from '../instance.ts';
import { runtimePackages } from '../setup/packages.ts';
import { serverEnvironment, serverFlags } from '../setup/server-process.ts';
import { prepare } from './up.ts';

export interface RuntimeCommandOptions {
  home?: string;
}

/** Ends with the process it started; the exit code is that one's. */
export async function runtime(options: RuntimeCommandOptions): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new Failure('sampan runtime needs root', {
      why: 'it makes machines, mounts and cgroups',
      mend: 'run it with sudo',
    });
  if (options.home) process.env.SAMPAN_HOME = resolve(options.home);
  const instance = currentInstance();
  const built = await prepare(runtimePackages, { quiet: !process.stderr.isTTY });
  const directoryOf = (name: string) => built.find((artifact) => artifact.name === name)?.directory ?? '';
  const child = spawn(process.execPath, [...serverFlags, join(instance.root, 'platform/src/cmd/runtime-service.ts')], {
    // The channel tells the child when we are gone, however we went.
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    cwd: '/',
    env: {
      ...process.env,
      SAMPAN_GUEST_DIR: directoryOf('guest'),
      SAMPAN_HOST_DIR: directoryOf('host'),
      ...serverEnvironment(instance.cache),
    },
  });
  child.once('message', () => process.stderr.write(readyWords(directoryOf('host'))));
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => child.kill(signal));
  process.exitCode = await new Promise<number>((done) => child.once('exit', (exit) => done(exit ?? 1)));
}

const readyWords = (programs: string): string => `
Sampan runs bundles in machines, for Podman:

  podman --runtime ${join(programs, 'sampan-runtime')} run --rm -it docker.io/library/busybox:latest uname -a

and for containerd:

  install -t /usr/local/bin ${join(programs, 'containerd-shim-sampan-v2')} ${join(programs, 'containerd-shim-sampan-namespace-v2')}
  ctr run --rm --runtime io.containerd.sampan.v2 docker.io/library/busybox:latest hello uname -a
  (io.containerd.sampan-namespace.v2: on the host's kernel)

Stop with Ctrl-C or SIGTERM: machines go on, and are taken up when this is started again.
`;
