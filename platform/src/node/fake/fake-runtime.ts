/**
 * A runtime without machines, for tests of the node: containers do what a script says, by the clock that tests move.
 * Keeps CRI's rules where the node depends on them: ids, states, attempts, labels, events; logs are files in CRI's format.
 */
import { appendFile, mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import { randomHex } from '../../base/ids.ts';
import type * as cri from '../../runtime/generated/cri.ts';
import { ContainerEventType, ContainerState, PodSandboxState } from '../../runtime/generated/cri.ts';
import type { Runtime, StreamSession } from '../../runtime/runtime.ts';

/** What one run of a container does. */
export interface Script {
  /** Ends by itself so long after its start; absent: runs until it is stopped. */
  afterMs?: number;
  exitCode?: number;
  reason?: string;
  /** Written to the log at the start. */
  output?: string;
  /** Does not end at SIGTERM. */
  ignoresTerm?: boolean;
  /** startContainer throws this. */
  startError?: string;
}

export interface FakeRuntimeOptions {
  clock: Clock;
  script?: (run: { pod: string; container: string; attempt: number; config: cri.ContainerConfig }) => Script;
  /** Names of images that are there; others are pulled when `registry` has them. */
  images?: string[];
  registry?: string[];
  /** Called before each call takes effect: may throw, wait, or never return. */
  before?: (call: string, request: object) => Promise<void> | void;
  /** execSync's answers. */
  exec?: (command: string[], container: string) => Promise<{ exitCode: number; stdout?: string }>;
}

interface FakeContainer {
  status: cri.ContainerStatus;
  podSandboxId: string;
  config: cri.ContainerConfig;
  script: Script;
  logPath: string;
  over: AbortController;
}

interface FakeSandbox {
  status: cri.PodSandboxStatus;
  config: cri.PodSandboxConfig;
}

export class FakeRuntime implements Runtime {
  readonly #options: FakeRuntimeOptions;
  readonly sandboxes = new Map<string, FakeSandbox>();
  readonly containers = new Map<string, FakeContainer>();
  /** Calls in the order they took effect: `startContainer web`. */
  readonly calls: string[] = [];
  /** A container that is created, started or stopped twice, or runs beside another run of itself: never right. */
  readonly faults: string[] = [];
  readonly images: Set<string>;
  before: FakeRuntimeOptions['before'];
  exec_: FakeRuntimeOptions['exec'];
  readonly #listeners = new Set<(event: cri.ContainerEventResponse) => void>();
  #addresses = 1;

  constructor(options: FakeRuntimeOptions) {
    this.#options = options;
    this.images = new Set(options.images ?? []);
    this.before = options.before;
    this.exec_ = options.exec;
  }

  async recover(): Promise<void> {}
  async close(): Promise<void> {}

  async version(): Promise<cri.VersionResponse> {
    return { runtimeName: 'sampan', runtimeVersion: '0', runtimeApiVersion: 'v1', version: '0.1.0' };
  }

  async status(): Promise<cri.StatusResponse> {
    return { status: { conditions: [{ type: 'RuntimeReady', status: true }] } };
  }

  async runtimeConfig(): Promise<cri.RuntimeConfigResponse> {
    return {};
  }

  async runPodSandbox(request: cri.RunPodSandboxRequest): Promise<cri.RunPodSandboxResponse> {
    await this.#enter('runPodSandbox', request, request.config?.metadata?.name);
    const config = request.config!;
    const key = ({ metadata }: cri.PodSandboxConfig) => `${metadata?.uid}/${metadata?.attempt}`;
    for (const other of this.sandboxes.values())
      if (key(other.config) === key(config))
        throw new SampanError('AlreadyExists', 'there is a sandbox for this attempt');
    const id = randomHex(8);
    const status: cri.PodSandboxStatus = {
      id,
      metadata: config.metadata,
      state: PodSandboxState.SANDBOX_READY,
      createdAt: this.#now(),
      network: { ip: `10.0.0.${this.#addresses++}` },
      labels: config.labels,
      annotations: config.annotations,
    };
    this.sandboxes.set(id, { status, config });
    return { podSandboxId: id };
  }

  async stopPodSandbox(request: cri.StopPodSandboxRequest): Promise<cri.StopPodSandboxResponse> {
    await this.#enter('stopPodSandbox', request, request.podSandboxId);
    const sandbox = this.sandboxes.get(request.podSandboxId ?? '');
    if (!sandbox) return {};
    sandbox.status.state = PodSandboxState.SANDBOX_NOTREADY;
    sandbox.status.network = {};
    for (const container of this.#of(request.podSandboxId)) this.#end(container, { exitCode: 137, reason: 'Error' });
    return {};
  }

  async removePodSandbox(request: cri.RemovePodSandboxRequest): Promise<cri.RemovePodSandboxResponse> {
    await this.#enter('removePodSandbox', request, request.podSandboxId);
    await this.stopPodSandbox(request);
    for (const container of this.#of(request.podSandboxId)) this.containers.delete(container.status.id!);
    this.sandboxes.delete(request.podSandboxId ?? '');
    return {};
  }

  async podSandboxStatus(request: cri.PodSandboxStatusRequest): Promise<cri.PodSandboxStatusResponse> {
    const sandbox = this.sandboxes.get(request.podSandboxId ?? '');
    if (!sandbox) throw new SampanError('NotFound', `no sandbox ${request.podSandboxId}`);
    return { status: { ...sandbox.status } };
  }

  async listPodSandbox({ filter }: cri.ListPodSandboxRequest): Promise<cri.ListPodSandboxResponse> {
    const all = [...this.sandboxes.values()].map(({ status }): cri.PodSandbox => ({ ...status }));
    return { items: all.filter((item) => hasLabels(item.labels, filter?.labelSelector)) };
  }

  async createContainer(request: cri.CreateContainerRequest): Promise<cri.CreateContainerResponse> {
    const config = request.config!;
    await this.#enter('createContainer', request, config.metadata?.name);
    const sandbox = this.sandboxes.get(request.podSandboxId ?? '');
    if (sandbox?.status.state !== PodSandboxState.SANDBOX_READY)
      throw new SampanError('FailedPrecondition', 'the sandbox is not ready');
    const { name = '', attempt = 0 } = config.metadata ?? {};
    const rivals = this.#of(request.podSandboxId).filter((one) => one.config.metadata?.name === name);
    if (rivals.some((one) => one.config.metadata?.attempt === attempt)) this.faults.push(`second ${name}/${attempt}`);
    if (rivals.some((one) => one.status.state === ContainerState.CONTAINER_RUNNING))
      this.faults.push(`${name} beside itself`);
    const id = randomHex(8);
    const logPath = join(sandbox.config.logDirectory ?? '', config.logPath ?? '');
    const status: cri.ContainerStatus = {
      id,
      metadata: config.metadata,
      state: ContainerState.CONTAINER_CREATED,
      createdAt: this.#now(),
      image: { image: config.image?.userSpecifiedImage || config.image?.image },
      imageRef: `sha256:${config.image?.image}`,
      labels: config.labels,
      annotations: config.annotations,
      mounts: config.mounts,
      logPath,
    };
    const pod = sandbox.status.metadata?.name ?? '';
    const script = this.#options.script?.({ pod, container: name, attempt, config }) ?? {};
    const container = {
      status,
      podSandboxId: request.podSandboxId!,
      config,
      script,
      logPath,
      over: new AbortController(),
    };
    this.containers.set(id, container);
    this.#tell(container, ContainerEventType.CONTAINER_CREATED_EVENT);
    return { containerId: id };
  }

  async startContainer(request: cri.StartContainerRequest): Promise<cri.StartContainerResponse> {
    const container = this.#container(request.containerId);
    await this.#enter('startContainer', request, container.config.metadata?.name);
    if (container.status.state !== ContainerState.CONTAINER_CREATED)
      this.faults.push(`${container.config.metadata?.name} started twice`);
    const { script, status } = container;
    if (script.startError) {
      this.#end(container, { exitCode: 128, reason: 'StartError' });
      throw new SampanError('InternalError', script.startError);
    }
    status.state = ContainerState.CONTAINER_RUNNING;
    status.startedAt = this.#now();
    await mkdir(dirname(container.logPath), { recursive: true });
    for (const line of (script.output ?? '').split('\n').filter(Boolean))
      await appendFile(container.logPath, `${new Date(this.#options.clock.now()).toISOString()} stdout F ${line}\n`);
    this.#tell(container, ContainerEventType.CONTAINER_STARTED_EVENT);
    if (script.afterMs !== undefined)
      this.#options.clock.sleep(script.afterMs, container.over.signal).then(
        () => this.#end(container, { exitCode: script.exitCode ?? 0, reason: script.reason }),
        () => {},
      );
    return {};
  }

  async stopContainer(request: cri.StopContainerRequest): Promise<cri.StopContainerResponse> {
    const container = this.containers.get(request.containerId ?? '');
    if (!container) return {};
    await this.#enter('stopContainer', request, container.config.metadata?.name);
    if (container.status.state !== ContainerState.CONTAINER_RUNNING) return {};
    if (!container.script.ignoresTerm) this.#end(container, { exitCode: 143 });
    else {
      await this.#options.clock.sleep(Number(request.timeout ?? 0n) * 1000);
      this.#end(container, { exitCode: 137 });
    }
    return {};
  }

  async removeContainer(request: cri.RemoveContainerRequest): Promise<cri.RemoveContainerResponse> {
    const container = this.containers.get(request.containerId ?? '');
    if (!container) return {};
    await this.#enter('removeContainer', request, container.config.metadata?.name);
    container.over.abort();
    this.containers.delete(request.containerId!);
    await rm(container.logPath, { force: true });
    return {};
  }

  async listContainers({ filter }: cri.ListContainersRequest): Promise<cri.ListContainersResponse> {
    const all = [...this.containers.values()].filter(({ status }) => hasLabels(status.labels, filter?.labelSelector));
    return { containers: all.map(({ status, podSandboxId }): cri.Container => ({ ...status, podSandboxId })) };
  }

  async containerStatus(request: cri.ContainerStatusRequest): Promise<cri.ContainerStatusResponse> {
    return { status: { ...this.#container(request.containerId).status } };
  }

  async updateContainerResources(): Promise<cri.UpdateContainerResourcesResponse> {
    return {};
  }

  async reopenContainerLog(request: cri.ReopenContainerLogRequest): Promise<cri.ReopenContainerLogResponse> {
    await appendFile(this.#container(request.containerId).logPath, '');
    return {};
  }

  async execSync(request: cri.ExecSyncRequest): Promise<cri.ExecSyncResponse> {
    const container = this.#container(request.containerId);
    await this.#enter('execSync', request, container.config.metadata?.name);
    const answer = (await this.exec_?.(request.cmd ?? [], container.config.metadata?.name ?? '')) ?? { exitCode: 0 };
    return { exitCode: answer.exitCode, stdout: Buffer.from(answer.stdout ?? ''), stderr: Buffer.alloc(0) };
  }

  async containerStats(): Promise<cri.ContainerStatsResponse> {
    return {};
  }

  async listContainerStats(): Promise<cri.ListContainerStatsResponse> {
    return { stats: [] };
  }

  async podSandboxStats(): Promise<cri.PodSandboxStatsResponse> {
    return {};
  }

  stats: cri.PodSandboxStats[] = [];

  async listPodSandboxStats(): Promise<cri.ListPodSandboxStatsResponse> {
    return { stats: this.stats };
  }

  async listImages(): Promise<cri.ListImagesResponse> {
    return { images: [...this.images].map((name) => ({ id: name, repoTags: [name], size: 1n })) };
  }

  async imageStatus(request: cri.ImageStatusRequest): Promise<cri.ImageStatusResponse> {
    const name = request.image?.image ?? '';
    return this.images.has(name) ? { image: { id: name, repoTags: [name], size: 1234n, username: '' } } : {};
  }

  async pullImage(request: cri.PullImageRequest): Promise<cri.PullImageResponse> {
    const name = request.image?.image ?? '';
    await this.#enter('pullImage', request, name);
    if (!this.#options.registry?.includes(name)) throw new SampanError('NotFound', `${name}: not found`);
    this.images.add(name);
    return { imageRef: name };
  }

  async removeImage(): Promise<cri.RemoveImageResponse> {
    return {};
  }

  async imageFsInfo(): Promise<cri.ImageFsInfoResponse> {
    return { imageFilesystems: [] };
  }

  async *getContainerEvents(): AsyncIterable<cri.ContainerEventResponse> {
    const queue: cri.ContainerEventResponse[] = [];
    let wake = () => {};
    const listen = (event: cri.ContainerEventResponse) => {
      queue.push(event);
      wake();
    };
    this.#listeners.add(listen);
    try {
      for (;;) {
        while (queue.length > 0) yield queue.shift()!;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      this.#listeners.delete(listen);
    }
  }

  exec(): Promise<StreamSession> {
    throw new SampanError('Unsupported', 'the fake runtime has no streams');
  }

  attach(): Promise<StreamSession> {
    throw new SampanError('Unsupported', 'the fake runtime has no streams');
  }

  portForward(): Promise<StreamSession> {
    throw new SampanError('Unsupported', 'the fake runtime has no streams');
  }

  /** The machine of a Pod dies. */
  killMachine(pod: string): void {
    for (const [id, { status }] of this.sandboxes) {
      if (status.metadata?.name !== pod || status.state !== PodSandboxState.SANDBOX_READY) continue;
      status.state = PodSandboxState.SANDBOX_NOTREADY;
      for (const container of this.#of(id)) this.#end(container, { exitCode: 137, reason: 'Error' });
    }
  }

  /** A run of a container ends by itself. */
  exit(name: string, exitCode: number, reason?: string): void {
    for (const container of this.containers.values())
      if (container.config.metadata?.name === name) this.#end(container, { exitCode, reason });
  }

  running(): string[] {
    return [...this.containers.values()]
      .filter(({ status }) => status.state === ContainerState.CONTAINER_RUNNING)
      .map(({ config }) => config.metadata?.name ?? '');
  }

  async #enter(call: string, request: object, name: string | undefined): Promise<void> {
    await this.before?.(call, request);
    this.calls.push(`${call} ${name ?? ''}`.trim());
  }

  #end(container: FakeContainer, { exitCode, reason }: { exitCode: number; reason?: string }): void {
    const { status } = container;
    if (status.state === ContainerState.CONTAINER_EXITED) return;
    status.state = ContainerState.CONTAINER_EXITED;
    status.finishedAt = this.#now();
    status.exitCode = exitCode;
    status.reason = reason ?? (exitCode === 0 ? 'Completed' : 'Error');
    container.over.abort();
    this.#tell(container, ContainerEventType.CONTAINER_STOPPED_EVENT);
  }

  #tell(container: FakeContainer, type: cri.ContainerEventType): void {
    const sandbox = this.sandboxes.get(container.podSandboxId);
    const event = { containerId: container.status.id, containerEventType: type, podSandboxStatus: sandbox?.status };
    for (const listen of this.#listeners) listen(event);
  }

  #of(sandboxId: string | undefined): FakeContainer[] {
    return [...this.containers.values()].filter((container) => container.podSandboxId === sandboxId);
  }

  #container(id: string | undefined): FakeContainer {
    const container = this.containers.get(id ?? '');
    if (!container) throw new SampanError('NotFound', `no container ${id}`);
    return container;
  }

  #now(): bigint {
    return BigInt(this.#options.clock.now()) * 1_000_000n;
  }
}

function hasLabels(labels: Record<string, string> = {}, wanted: Record<string, string> = {}): boolean {
  return Object.entries(wanted).every(([key, value]) => labels[key] === value);
}
