/**
 * A whole Sampan instance for a test: its own home, port, bridge and cgroups; real server process, real VMs.
 * stop() deletes every Pod, tears the instance down and then looks for anything that was left behind.
 */
import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { type KubeClient, resources } from '@sampan/api/client.ts';
import { connectWith } from '../../../../cli/src/connect.ts';
import { loadCredentials } from '../../../../cli/src/credentials.ts';
import { currentInstance } from '../../../../cli/src/instance.ts';
import { artifacts } from '../../../../cli/src/setup/artifacts.ts';
import { serverEnvironment } from '../../../../cli/src/setup/server-process.ts';
import { freePort } from '../../fixtures/free-port.ts';
import { type CommandResult, command } from './command.ts';
import { cgroups } from './leak-sweep.ts';
import { labEnvironment, ownProgram, tearDown } from './own-process.ts';

const root = join(import.meta.dirname, '../../../..');
const commandLine = ['--disable-warning=ExperimentalWarning', join(root, 'cli/src/main.ts')];

export class TestInstance {
  readonly home: string;
  readonly port: number;
  readonly env: NodeJS.ProcessEnv;
  client!: KubeClient;
  /** Where the server keeps what is volatile; known once it has served. */
  run = '';
  tag = '';
  #server: ChildProcess | undefined;

  constructor(home: string, port: number, env: NodeJS.ProcessEnv) {
    this.home = home;
    this.port = port;
    this.env = env;
  }

  get kubeconfig(): string {
    return join(this.home, 'admin.kubeconfig');
  }

  get logPath(): string {
    return join(this.home, 'server.log');
  }

  /** Starts (again) the server and waits until it serves. */
  async start(): Promise<void> {
    const log = await open(this.logPath, 'a');
    const server = spawn(process.execPath, ownProgram('server'), {
      env: this.env,
      stdio: ['ignore', log.fd, log.fd],
      cwd: '/',
    });
    await log.close();
    this.#server = server;
    const infoPath = join(this.home, 'server.json');
    for (const endMs = performance.now() + 60_000; performance.now() < endMs; ) {
      if (server.exitCode !== null) break;
      const info = existsSync(infoPath) ? JSON.parse((await readFile(infoPath, 'utf8')) || '{}') : {};
      if (info.pid === server.pid) {
        this.run = info.run;
        this.tag = info.tag;
        this.client = connectWith(await loadCredentials(this.kubeconfig));
        return;
      }
      await delay(25);
    }
    throw new Error(`the server did not come up:\n${(await readFile(this.logPath, 'utf8')).slice(-2000)}`);
  }

  /** kill -9: what a crash does. */
  async kill9(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const server = this.#server;
    if (!server || server.exitCode !== null || server.signalCode !== null) return;
    const gone = new Promise((resolve) => server.once('close', resolve));
    server.kill(signal);
    await gone;
  }

  async kubectl(
    args: string[],
    options: { input?: string; version?: string; timeoutMs?: number } = {},
  ): Promise<CommandResult> {
    const binary = options.version ? kubectlBinary(options.version)! : 'kubectl';
    return command(binary, ['--kubeconfig', this.kubeconfig, ...args], {
      ...options,
      env: { ...this.env, KUBECONFIG: this.kubeconfig },
    });
  }

  async sampan(args: string[], options: { input?: string; timeoutMs?: number } = {}): Promise<CommandResult> {
    return command(process.execPath, [...commandLine, ...args], { ...options, env: this.env });
  }

  /** One that a test reads while it runs. */
  startSampan(args: string[]): ChildProcessByStdio<null, Readable, null> {
    return spawn(process.execPath, [...commandLine, ...args], { env: this.env, stdio: ['ignore', 'pipe', 'inherit'] });
  }

  async stop(): Promise<void> {
    const problems: string[] = [];
    if (this.client) await this.#deletePods().catch((error: Error) => problems.push(error.message));
    await this.#end('SIGTERM');
    const teardown = await tearDown(this.env);
    problems.push(...(teardown.code === 0 ? findLeaks(this) : [`teardown: ${teardown.stderr}`]));
    if (!process.env.SAMPAN_KEEP) await rm(this.home, { recursive: true, force: true });
    if (problems.length > 0) throw new Error(`left behind by ${this.home}:\n${problems.join('\n')}`);
  }

  async #deletePods(): Promise<void> {
    for (const endMs = performance.now() + 90_000; performance.now() < endMs; ) {
      const { items } = await this.client.list(resources.pods);
      if (items.length === 0) return;
      const unasked = items.filter((pod) => !pod.metadata?.deletionTimestamp);
      await Promise.all(
        unasked.map((pod) =>
          this.client
            .delete(resources.pods, pod.metadata!.name!, { namespace: pod.metadata!.namespace, gracePeriodSeconds: 1 })
            .catch(() => {}),
        ),
      );
      await delay(100);
    }
    throw new Error('Pods did not go away');
  }
}

/** Starts an instance; the caller stops it in `after`. */
/** `more`: of the server's environment. */
export async function startInstance(name: string, more: NodeJS.ProcessEnv = {}): Promise<TestInstance> {
  const home = await mkdtemp(`/var/tmp/sampan-${name}-`);
  const port = await freePort();
  const built = await artifacts(currentInstance());
  const missing = built.find((artifact) => !artifact.built);
  const env = await labEnvironment(home, {
    ...serverEnvironment(currentInstance().cache),
    SAMPAN_LISTEN: `127.0.0.1:${port}`,
    SAMPAN_LOG_LEVEL: process.env.SAMPAN_LOG_LEVEL ?? 'debug',
    // A pool that grows after many Pods works on while the next test runs; '' lets it.
    SAMPAN_POOL: process.env.SAMPAN_POOL ?? '1',
    // Whatever else lies on the disk of whoever runs the tests.
    SAMPAN_EVICTION_HARD: 'none',
    ...more,
  });
  if (missing && !process.env.SAMPAN_GUEST_DIR)
    throw new Error(`the ${missing.name} is not built: run ./sampan test, which builds it`);
  const instance = new TestInstance(home, port, env);
  await instance.start();
  return instance;
}

/** Process ids of the VMMs of this instance's Pods, as their directories tell; not those parked for later. */
export function vmmPids(instance: { run: string }): number[] {
  return pidsIn(join(instance.run, 'vm'));
}

/** VMMs of the clones that are ready in the pool: stopped. */
export function parkedPids(instance: { run: string }): number[] {
  return pidsIn(join(instance.run, 'pool')).filter((pid) => /^State:\s+T/m.test(readOr(`/proc/${pid}/status`)));
}

function pidsIn(machines: string): number[] {
  if (!existsSync(machines)) return [];
  return readdirSync(machines)
    .map((name) => Number(readOr(join(machines, name, 'pid')).split(' ')[0]))
    .filter((pid) => pid > 0 && existsSync(`/proc/${pid}/exe`))
    .sort();
}

/** Path of a kubectl of a minor version ("1.27"), where this machine has one. */
export function kubectlBinary(version: string): string | undefined {
  return [`/usr/lib/google-cloud-sdk/bin/kubectl.${version}`, `/usr/local/bin/kubectl.${version}`].find((path) =>
    existsSync(path),
  );
}

export const kubectlVersions: string[] = ['1.27', '1.28', '1.29', '1.30', '1.31', '1.32', '1.33'].filter(kubectlBinary);

export const hasKubectl: boolean = (process.env.PATH ?? '')
  .split(':')
  .some((folder) => existsSync(join(folder, 'kubectl')));

/** Everything on this host that carries the instance's tag or directories: there must be nothing after teardown. */
export function findLeaks(instance: { run: string; home: string; tag: string }): string[] {
  const leaks: string[] = [];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)) {
    const line = readOr(`/proc/${pid}/cmdline`).replaceAll('\0', ' ');
    if (line.includes(instance.run) || line.includes(instance.home))
      leaks.push(`process ${pid}: ${line.slice(0, 200)}`);
  }
  for (const device of readdirSync('/sys/class/net'))
    if (device.includes(instance.tag)) leaks.push(`network device ${device}`);
  for (const line of readOr('/proc/mounts').split('\n'))
    if (line.includes(instance.run) || line.includes(instance.home)) leaks.push(`mount ${line}`);
  for (const line of readOr('/proc/net/unix').split('\n'))
    if (line.includes(instance.run)) leaks.push(`socket ${line}`);
  if (existsSync(instance.run)) leaks.push(`directory ${instance.run}: ${readdirSync(instance.run).join(' ')}`);
  for (const controller of ['cpu', 'memory', 'unified', '']) {
    const cgroup = join('/sys/fs/cgroup', controller, `sampan-${instance.tag}`);
    if (existsSync(cgroup)) leaks.push(`cgroup ${cgroup}`);
  }
  leaks.push(...cgroups(instance));
  return leaks;
}

function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
