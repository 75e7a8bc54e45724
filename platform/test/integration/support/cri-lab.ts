/**
 * The process of `sampan cri` for tests: a home, socket and bridge of its own, real VMs, and a gRPC client of its socket. dispose() removes every Pod, tears
 * the instance down and tells what was left behind.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, credentials, type MethodDefinition, type ServiceDefinition } from '@grpc/grpc-js';
import { instanceFromEnvironment } from '../../../src/base/config.ts';
import { loadCriServices } from '../../../src/cri/messages.ts';
import type * as cri from '../../../src/runtime/generated/cri.ts';
import { findLeaks } from './instance.ts';
import { labEnvironment, ownProgram, tearDown } from './own-process.ts';

/** Why this machine cannot run these tests; undefined when it can. */
export function missingForCri(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  return existsSync('/usr/bin/qemu-system-x86_64') ? undefined : 'qemu-system-x86_64 is missing';
}

/** A call of either service, named as in the proto with a small first letter. */
export type CriClient = Omit<cri.RuntimeService, keyof CriStreams> &
  Omit<cri.ImageService, 'streamImages'> &
  CriStreams;
type CriStreams = Pick<cri.RuntimeService, 'getContainerEvents' | 'streamPodSandboxes' | 'streamContainers'>;

/** A small machine, so that tests share one template. */
export const smallLinux: cri.LinuxPodSandboxConfig = {
  resources: { cpuQuota: 100_000n, cpuPeriod: 100_000n, memoryLimitInBytes: 192n * 1024n * 1024n },
};

export class CriLab implements AsyncDisposable {
  readonly home: string;
  readonly socketPath: string;
  readonly env: NodeJS.ProcessEnv;
  process!: ChildProcess;
  client!: CriClient;
  #channel: Client | undefined;

  private constructor(home: string, env: NodeJS.ProcessEnv) {
    this.home = home;
    this.socketPath = join(home, 'cri.sock');
    this.env = { ...env, SAMPAN_CRI_SOCKET: this.socketPath };
  }

  /** `more` goes into its environment. */
  static async open(name: string, more: NodeJS.ProcessEnv = {}): Promise<CriLab> {
    const home = await mkdtemp(`/var/tmp/sampan-${name}-`);
    const lab = new CriLab(
      home,
      await labEnvironment(home, {
        SAMPAN_POOL: '0',
        SAMPAN_LOG_LEVEL: process.env.SAMPAN_LOG_LEVEL ?? 'debug',
        ...more,
      }),
    );
    try {
      await lab.start();
    } catch (error) {
      await rm(home, { recursive: true, force: true });
      throw error;
    }
    return lab;
  }

  /** Starts (again) the process and waits until it says that it is ready. */
  async start(): Promise<void> {
    const log = await open(join(this.home, 'cri.log'), 'a');
    const child = spawn(process.execPath, ownProgram('cri'), {
      env: this.env,
      stdio: ['ignore', log.fd, log.fd, 'ipc'],
      cwd: '/',
    });
    await log.close();
    this.process = child;
    const ready = await new Promise<boolean>((resolve) => {
      child.once('message', () => resolve(true));
      child.once('exit', () => resolve(false));
    });
    if (!ready) throw new Error(`sampan cri did not come up:\n${(await this.log()).slice(-2000)}`);
    this.#channel?.close();
    const channel = new Client(`unix:${this.socketPath}`, credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
    });
    this.#channel = channel;
    this.client = clientOf(channel);
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.process;
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    const gone = new Promise<number | null>((resolve) => child.once('exit', resolve));
    child.kill(signal);
    return gone;
  }

  log = (): Promise<string> => readFile(join(this.home, 'cri.log'), 'utf8');

  sandboxConfig(name: string, more: Partial<cri.PodSandboxConfig> = {}): cri.PodSandboxConfig {
    return {
      metadata: { name, namespace: 'lab', uid: `uid-${name}`, attempt: 0 },
      hostname: name,
      logDirectory: this.logDirectory(name),
      linux: smallLinux,
      ...more,
    };
  }

  logDirectory = (name: string): string => join(this.home, 'logs', name);

  async sandbox(name: string, more: Partial<cri.PodSandboxConfig> = {}): Promise<string> {
    return (await this.client.runPodSandbox({ config: this.sandboxConfig(name, more) })).podSandboxId!;
  }

  /** Made and started. */
  async container(
    podSandboxId: string,
    name: string,
    options: { image: string; script: string } & Partial<cri.ContainerConfig>,
  ): Promise<string> {
    const { image, script, ...more } = options;
    const config = {
      metadata: { name, attempt: 0 },
      image: { image },
      command: ['sh', '-c', script],
      logPath: `${name}.log`,
      ...more,
    };
    const { items } = await this.client.listPodSandbox({ filter: { id: podSandboxId } });
    const { containerId } = await this.client.createContainer({
      podSandboxId,
      config,
      sandboxConfig: this.sandboxConfig(items![0]!.metadata!.name!),
    });
    await this.client.startContainer({ containerId });
    return containerId!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const problems: string[] = [];
    if (this.process.exitCode === null && this.process.signalCode === null) {
      const { items = [] } = await this.client.listPodSandbox({});
      await Promise.all(
        items.map(({ id }) =>
          this.client.removePodSandbox({ podSandboxId: id }).catch((error: Error) => problems.push(error.message)),
        ),
      );
    }
    this.#channel?.close();
    await this.end('SIGTERM');
    const teardown = await tearDown(this.env);
    const { run, tag } = instanceFromEnvironment(this.env);
    const left = findLeaks({ run, tag, home: this.home });
    problems.push(...(teardown.code === 0 ? left : [`teardown: ${teardown.stderr}`]));
    if (!process.env.SAMPAN_KEEP) await rm(this.home, { recursive: true, force: true });
    if (problems.length > 0) throw new Error(`left behind by ${this.home}:\n${problems.join('\n')}`);
  }
}

export function clientOf(channel: Client): CriClient {
  const { runtime, image } = loadCriServices();
  return Object.fromEntries([...methodsOf(channel, runtime), ...methodsOf(channel, image)]) as unknown as CriClient;
}

function methodsOf(channel: Client, service: ServiceDefinition): [string, unknown][] {
  return Object.entries(service).map(([name, method]) => {
    const { path, requestSerialize, responseDeserialize, responseStream } = method as MethodDefinition<object, object>;
    const call = responseStream
      ? (request: object) => channel.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request)
      : (request: object) =>
          new Promise((resolve, reject) =>
            channel.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error, answer) =>
              error ? reject(error) : resolve(answer),
            ),
          );
    return [name.charAt(0).toLowerCase() + name.slice(1), call];
  });
}
