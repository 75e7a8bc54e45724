/**
 * A containerd of its own (root, state, socket) and a `sampan runtime` of its own, joined by the shim: Debian's containerd, or one built from its module.
 * stop() looks for anything left behind.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, credentials } from '@grpc/grpc-js';
import { type Instance, instanceFromEnvironment } from '../../../src/base/config.ts';
import { type CommandResult, command } from './command.ts';
import { clientOf } from './cri-lab.ts';
import { demoArchive } from './demo-image.ts';
import { findLeaks, vmmPids } from './instance.ts';
import { labEnvironment, ownProgram, tearDown } from './own-process.ts';
import { until } from './wait.ts';

export const image = 'localhost/demo:1';

export interface ContainerdPrograms {
  containerd: string;
  ctr: string;
  major: 1 | 2;
}
export const debians: ContainerdPrograms = { containerd: 'containerd', ctr: 'ctr', major: 1 };

export interface AttachedClient {
  /** All of it so far. */
  stdout(): string;
  write(data: string): void;
  end(data: string): void;
  /** Its exit code. */
  exited: Promise<number>;
}

/** Plugins that a containerd of ours is better without: two of a machine would meet in NRI's socket. */
const needless = { 1: [], 2: ['io.containerd.nri.v1.nri'] };
const criPlugins = {
  1: ['io.containerd.grpc.v1.cri'],
  2: ['io.containerd.grpc.v1.cri', 'io.containerd.cri.v1.images', 'io.containerd.cri.v1.runtime'],
};

export class ContainerdLab {
  readonly programs: ContainerdPrograms;
  readonly home: string;
  readonly env: NodeJS.ProcessEnv;
  readonly instance: Instance;
  #containerd: ChildProcess | undefined;
  #service: ChildProcess | undefined;

  private constructor(home: string, env: NodeJS.ProcessEnv, programs: ContainerdPrograms) {
    this.programs = programs;
    this.home = home;
    this.env = env;
    this.instance = instanceFromEnvironment({ ...env, SAMPAN_HOME: join(home, 'runtime') });
  }

  static async start(programs: ContainerdPrograms = debians): Promise<ContainerdLab> {
    const home = await mkdtemp('/var/tmp/sampan-shim-');
    const env = await labEnvironment(home, { SAMPAN_LOG_LEVEL: 'debug' });
    env.PATH = `${env.SAMPAN_HOST_DIR}:${env.PATH}`;
    const lab = new ContainerdLab(home, env, programs);
    try {
      await lab.#begin();
    } catch (error) {
      await lab.stop().catch(() => {});
      await rm(home, { recursive: true, force: true });
      throw error;
    }
    return lab;
  }

  async #begin(): Promise<void> {
    await mkdir(join(this.home, 'c'), { recursive: true });
    await this.startService();
    await this.startContainerd();
    const imported = await this.ctr(['image', 'import', await demoArchive()]);
    if (imported.code !== 0) throw new Error(`import: ${imported.stderr}`);
  }

  get socket(): string {
    return join(this.home, 'c', 'c.sock');
  }

  async startService(): Promise<void> {
    const log = await open(join(this.home, 'service.log'), 'a');
    this.#service = spawn(process.execPath, ownProgram('runtime-service'), {
      env: this.env,
      stdio: ['ignore', log.fd, log.fd, 'ipc'],
      cwd: '/',
    });
    await log.close();
    const service = this.#service;
    await new Promise<void>((resolve, reject) => {
      service.once('message', () => resolve());
      service.once('exit', () => reject(new Error('the runtime did not come up')));
    }).catch(async (error) => {
      throw new Error(`${error}: ${(await readFile(join(this.home, 'service.log'), 'utf8')).slice(-1500)}`);
    });
  }

  /** `plugin`: lines of the configuration of its CRI plugin; absent: it has none. */
  async startContainerd(plugin?: string[]): Promise<void> {
    const directory = join(this.home, 'c');
    const config = join(directory, 'config.toml');
    const { major } = this.programs;
    const disabled = [...needless[major], ...(plugin ? [] : criPlugins[major])];
    const lines = [
      `version = ${major + 1}`,
      `root = "${join(directory, 'root')}"`,
      `state = "${join(directory, 'state')}"`,
      `disabled_plugins = ${JSON.stringify(disabled)}`,
      `[grpc]\n  address = "${this.socket}"`,
      ...(plugin ?? []),
    ];
    await writeFile(config, lines.join('\n'));
    const log = await open(join(directory, 'log'), 'a');
    this.#containerd = spawn(this.programs.containerd, ['-c', config], {
      env: this.env,
      stdio: ['ignore', log.fd, log.fd],
      cwd: '/',
    });
    await log.close();
    await until('containerd answers', async () => (await this.ctr(['version'])).code === 0);
  }

  ctr(args: string[], input?: string, timeoutMs = 90_000): Promise<CommandResult> {
    return command(this.programs.ctr, ['-a', this.socket, ...args], {
      env: this.env,
      timeoutMs,
      ...(input === undefined ? {} : { input }),
    });
  }

  run(id: string, args: string[], flags: string[] = [], runtime = 'io.containerd.sampan.v2'): Promise<CommandResult> {
    return this.ctr(['run', ...flags, '--runtime', runtime, image, id, ...args]);
  }

  /** `ctr run` with its terminal's three streams as pipes of ours. */
  attach(id: string, args: string[]): AttachedClient {
    const run = ['run', '--rm', '--runtime', 'io.containerd.sampan.v2', image, id, ...args];
    const child = spawn(this.programs.ctr, ['-a', this.socket, ...run], { env: this.env });
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk;
    });
    child.stdin.on('error', () => {});
    return {
      stdout: () => text,
      write: (data) => child.stdin.write(data),
      end: (data) => child.stdin.end(data),
      exited: new Promise((resolve) => child.once('close', (code) => resolve(code ?? -1))),
    };
  }

  /** What `ctr events` tells from now on; it is heard already. */
  async events(): Promise<{ text: () => string; stop: () => Promise<void> }> {
    const child = spawn(this.programs.ctr, ['-a', this.socket, 'events'], { env: this.env });
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk;
    });
    let asked = 0;
    await until('events are heard', async () => {
      await this.ctr(['namespaces', 'label', 'default', `asked=${asked++}`]);
      return text.includes('/namespaces/update');
    });
    return { text: () => text, stop: () => end(child, 'SIGTERM') };
  }

  /** `RUNNING`, `STOPPED`, `PAUSED`, or undefined when there is no such task. */
  async state(id: string): Promise<string | undefined> {
    const { stdout } = await this.ctr(['task', 'ls']);
    return stdout
      .split('\n')
      .map((line) => line.split(/\s+/))
      .find(([name]) => name === id)?.[2];
  }

  /** Removes every task and container. */
  async clear(): Promise<void> {
    const { stdout } = await this.ctr(['container', 'ls', '-q']);
    for (const id of stdout.split('\n').filter(Boolean)) {
      await this.ctr(['task', 'rm', '-f', id]);
      await this.ctr(['container', 'rm', id]);
    }
  }

  /** Of its CRI plugin. */
  async removePods(): Promise<void> {
    const channel = new Client(`unix:${this.socket}`, credentials.createInsecure());
    const cri = clientOf(channel);
    try {
      for (const { id: podSandboxId } of (await cri.listPodSandbox({})).items ?? []) {
        await cri.stopPodSandbox({ podSandboxId });
        await cri.removePodSandbox({ podSandboxId });
      }
    } finally {
      channel.close();
    }
  }

  machines = (): number[] => vmmPids(this.instance);

  /** Everything that runs for this lab but containerd and its clients: pid and command line. */
  processes(): Map<number, string> {
    const ours = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
      .map((pid) => [Number(pid), readOr(`/proc/${pid}/cmdline`).replaceAll('\0', ' ')] as const)
      .filter(([pid, line]) => line.includes(this.instance.run) || readOr(`/proc/${pid}/environ`).includes(this.home));
    const isContainerds = (line: string) =>
      line.startsWith(this.programs.containerd) || line.startsWith(this.programs.ctr);
    return new Map(ours.filter(([, line]) => line && !isContainerds(line)));
  }

  killContainerd = () => end(this.#containerd, 'SIGKILL');
  killService = () => end(this.#service, 'SIGKILL');

  /** Processes that serve this lab's bundles, whoever started them. */
  servicePids(): number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) => {
        const [line, environment] = ['cmdline', 'environ'].map((file) => readOr(`/proc/${pid}/${file}`));
        return line?.includes('runtime-service.ts') && environment?.includes(`SAMPAN_HOME=${this.home}\0`);
      })
      .map(Number);
  }

  async stop(): Promise<void> {
    await this.clear();
    await end(this.#containerd, 'SIGTERM');
    await end(this.#service, 'SIGTERM');
    // And one that the relay started in its place.
    for (const pid of this.servicePids()) process.kill(pid, 'SIGTERM');
    await until('the runtime ends', async () => this.servicePids().length === 0);
    const teardown = await tearDown({ ...this.env, SAMPAN_HOME: this.instance.home });
    // Of a containerd that was killed, or whose Pods were left to it.
    const mounts = readOr('/proc/mounts')
      .split('\n')
      .map((line) => line.split(' ')[1] ?? '');
    for (const mount of mounts.filter((path) => path.startsWith(`${this.home}/c/`)).reverse())
      await command('umount', ['--lazy', mount]);
    const problems = teardown.code === 0 ? findLeaks(this.instance) : [teardown.stderr];
    if (problems.length === 0) await rm(this.home, { recursive: true, force: true });
    else throw new Error(`left behind by ${this.home}:\n${problems.join('\n')}`);
  }
}

function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

async function end(child: ChildProcess | undefined, signal: NodeJS.Signals): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await gone;
}
