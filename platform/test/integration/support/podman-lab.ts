/**
 * Debian's Podman with a storage of its own, and a runtime service of its own behind `sampan-runtime`, for tests and benchmarks. dispose()
 * removes every container, tears the instance down and tells what was left behind.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { instanceFromEnvironment } from '../../../src/base/config.ts';
import { type CommandResult, command } from './command.ts';
import { demoArchive } from './demo-image.ts';
import { findLeaks } from './instance.ts';
import { labEnvironment, leaveOciService, tearDown } from './own-process.ts';
import { until } from './wait.ts';

/** `--ulimit host`: where limits cannot be raised, Podman's own would be refused. */
export const podmanRunFlags: string[] = ['--network', 'none', '--ulimit', 'host'];

/** crun of Debian 12 gives up where cgroup v2 has controllers beside v1: it is shown v1 alone. */
export const crunScript = `#!/bin/sh
if [ -e /sys/fs/cgroup/unified/cgroup.procs ]; then
  exec unshare --mount sh -c 'umount /sys/fs/cgroup/unified; exec crun "$@"' crun "$@"
fi
exec crun "$@"
`;

/** Why this machine cannot run these tests; undefined when it can. */
export function missingForPodman(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  for (const program of ['/usr/bin/podman', '/usr/bin/conmon', '/usr/bin/qemu-system-x86_64'])
    if (!existsSync(program)) return `${program} is missing`;
  return undefined;
}

export class PodmanLab implements AsyncDisposable {
  readonly home: string;
  /** A copy of sampan-runtime, which finds this lab by where it stands: conmon passes no environment on. */
  readonly runtime: string;
  readonly env: NodeJS.ProcessEnv;
  readonly #storage: string[];

  private constructor(home: string, env: NodeJS.ProcessEnv) {
    this.home = home;
    this.env = env;
    this.runtime = join(home, 'sampan-runtime');
    this.#storage = ['--root', join(home, 'storage'), '--runroot', join(home, 'podman'), '--tmpdir', join(home, 'tmp')];
    this.#storage.push(
      '--network-config-dir',
      join(home, 'networks'),
      '--cgroup-manager',
      'cgroupfs',
      '--events-backend',
      'file',
      '--storage-driver',
      'vfs',
    );
  }

  static async open(name: string): Promise<PodmanLab> {
    const home = await mkdtemp(`/var/tmp/sampan-${name}-`);
    const lab = new PodmanLab(home, await labEnvironment(home));
    await copyFile(join(lab.env.SAMPAN_HOST_DIR!, 'sampan-runtime'), lab.runtime);
    await symlink('sampan-runtime', lab.runtimeOf('namespace'));
    await leaveOciService(home, lab.env);
    const loaded = await lab.podman(['load', '-q', '-i', await demoArchive()]);
    if (loaded.code !== 0) throw new Error(`podman load: ${loaded.stderr}`);
    return lab;
  }

  /** By its name it says where machines are made. */
  runtimeOf = (handler: string): string => (handler === 'vm' ? this.runtime : `${this.runtime}-${handler}`);

  /** `before`: a program, with its first arguments, that runs podman. */
  podman(
    args: string[],
    { before = [], ...options }: { input?: string; timeoutMs?: number; runtime?: string; before?: string[] } = {},
  ): Promise<CommandResult> {
    const words = [...before, 'podman', ...this.#storage, '--runtime', options.runtime ?? this.runtime, ...args];
    return command(words[0]!, words.slice(1), { timeoutMs: 90_000, ...options, env: this.env });
  }

  /** The same with a terminal, by script(1); its output has the terminal's line ends. */
  onTerminal(args: string[]): Promise<CommandResult> {
    const words = ['podman', ...this.#storage, '--runtime', this.runtime, ...args].map((word) => `'${word}'`);
    return new Promise((resolve) => {
      const script = execFile(
        'script',
        ['-qec', words.join(' '), '/dev/null'],
        { env: this.env, timeout: 90_000 },
        (error, stdout, stderr) => resolve({ code: error ? Number(error.code ?? 128) : 0, stdout, stderr }),
      );
      // Its stdin stays open: the end of input would be typed into the terminal.
      script.once('exit', () => script.stdin?.end());
    });
  }

  /** The process of the runtime service; undefined when none has run. */
  async servicePid(): Promise<number | undefined> {
    return JSON.parse(await readFile(join(this.home, 'oci.json'), 'utf8')).pid;
  }

  log = (): Promise<string> => readFile(join(this.home, 'logs/runtime.log'), 'utf8').catch(() => '');

  async stopService(signal: NodeJS.Signals): Promise<void> {
    const pid = await this.servicePid();
    if (!pid || !existsSync(`/proc/${pid}`)) return;
    process.kill(pid, signal);
    await until('the end of the service', async () => !existsSync(`/proc/${pid}`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const problems: string[] = [];
    for (const args of [
      ['pod', 'rm', '--all', '--force', '--time', '1'],
      ['rm', '--all', '--force', '--time', '1'],
    ]) {
      const removed = await this.podman(args);
      if (removed.code !== 0) problems.push(`podman ${args[0]}: ${removed.stderr}`);
    }
    const left = await command(this.runtime, ['list', '-q'], { env: this.env });
    if (left.stdout.trim()) problems.push(`containers of the runtime: ${left.stdout}`);
    await this.stopService('SIGTERM');
    const env = { ...this.env, SAMPAN_HOME: join(this.home, 'runtime') };
    const instance = instanceFromEnvironment(env);
    const teardown = await tearDown(env);
    if (teardown.code !== 0) problems.push(`teardown: ${teardown.stderr}`);
    await this.podman(['system', 'reset', '--force']);
    problems.push(...findLeaks({ run: instance.run, home: this.home, tag: instance.tag }));
    if (!process.env.SAMPAN_KEEP) await rm(this.home, { recursive: true, force: true });
    if (problems.length > 0) throw new Error(`left behind by ${this.home}:\n${problems.join('\n')}`);
  }
}
