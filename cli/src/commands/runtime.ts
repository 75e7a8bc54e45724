/** `sampan runtime`: the one process of a node that runs tasks of containerd and containers of OCI command lines, in the foreground. */
import { spawn } from 'node:child_process';
import { copyFile, mkdir, rename, rm, symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Failure } from '../failure.ts';
import { type CliInstance, currentInstance, usualHome } from '../instance.ts';
import { runtimePackages } from '../setup/packages.ts';
import { serverEnvironment, serverFlags } from '../setup/server-process.ts';
import { shellWord } from '../shell-words.ts';
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
  const command = await ociCommand(instance, directoryOf('host'));
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
  child.once('message', () => process.stderr.write(readyWords(command, directoryOf('host'), instance)));
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => child.kill(signal));
  process.exitCode = await new Promise<number>((done) => child.once('exit', (exit) => done(exit ?? 1)));
}

/**
 * Where sampan-runtime is to be called: Podman passes no environment on, so that of a home that is not the usual one finds it by standing there
 * (host/oci/src/service.rs).
 */
async function ociCommand({ home }: CliInstance, programs: string): Promise<string> {
  const built = join(programs, 'sampan-runtime');
  if (home === usualHome) return built;
  const own = join(home, 'sampan-runtime');
  await mkdir(home, { recursive: true, mode: 0o700 });
  // Whoever runs it now goes on with what it was.
  await copyFile(built, `${own}.new`);
  await rename(`${own}.new`, own);
  // Under this name it makes its machines on the host (host/oci/src/create.rs).
  await rm(`${own}-namespace`, { force: true });
  await symlink('sampan-runtime', `${own}-namespace`);
  return own;
}

export function readyWords(command: string, programs: string, { home }: Pick<CliInstance, 'home'>): string {
  const environment = home === usualHome ? '' : `, with SAMPAN_HOME=${home} in containerd's environment`;
  return `
Sampan runs bundles in machines, for Podman:

  podman --runtime ${shellWord(command)} run --rm IMAGE uname -a
  (sampan-runtime-namespace beside it: on the host's kernel)

and for containerd${environment}:

  cd ${shellWord(programs)}
  install -t /usr/local/bin containerd-shim-sampan-*v2
  ctr image pull IMAGE
  ctr run --rm --runtime io.containerd.sampan.v2 IMAGE hello uname -a
  (io.containerd.sampan-namespace.v2: on the host's kernel)

Stop with Ctrl-C or SIGTERM: machines go on, and are taken up by the next start.
./sampan down --runtime ends them.
`;
}
