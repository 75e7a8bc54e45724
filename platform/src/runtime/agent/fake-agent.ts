/**
 * A guest without a machine, for tests of the runtime: containers are functions that run in this process.
 *
 * A FakeGuest is the guest's state; connections to it come and go, as with a server that is restarted. FakeAgents hands them out by channel
 * path, where the runtime expects connectAgent. The same suite as the real agent's holds it to agent.ts (agent-suite.ts). Not faked:
 * cgroups, users, namespaces, limits; stats are zeros but for what the fake knows.
 */
import { SampanError } from '@sampan/api/errors.ts';
import { type Clock, systemClock } from '../../base/clock.ts';
import type {
  Agent,
  AgentEvent,
  ConnectAgent,
  CreateContainer,
  CreateExec,
  ExecRequest,
  GuestContainerStatus,
  GuestMount,
  GuestSession,
  GuestStats,
  GuestUser,
  GuestVolume,
  OutputChunk,
  SandboxSetup,
  VolumeFile,
} from './agent.ts';
import { EventLog } from './event-log.ts';
import { FakeContainer } from './fake-container.ts';
import { type FakeProgram, fakePrograms } from './fake-programs.ts';
import { FakeSession } from './fake-session.ts';

export interface FakeGuestOptions {
  clock?: Clock;
  /** By the last part of args[0]; beside echo, cat, sleep, printf, true, false, sh -c 'exit N'. */
  programs?: Record<string, FakeProgram>;
  /** Ports that answer a dial: what is written comes back from this function. */
  ports?: Record<number, (data: Uint8Array) => Uint8Array>;
}

export class FakeAgents {
  readonly #options: FakeGuestOptions;
  readonly #guests = new Map<string, FakeGuest>();

  constructor(options: FakeGuestOptions = {}) {
    this.#options = options;
  }

  /** The guest behind a channel; made when it is first asked for. */
  guest(channelPath: string): FakeGuest {
    const guest = this.#guests.get(channelPath) ?? new FakeGuest(this.#options);
    this.#guests.set(channelPath, guest);
    return guest;
  }

  readonly connect: ConnectAgent = async ({ channelPath, sandboxId, signal }) => {
    signal?.throwIfAborted();
    const guest = this.guest(channelPath);
    if (guest.dead) throw new SampanError('Timeout', `agent of sandbox ${sandboxId} did not answer`);
    return guest.connect();
  };
}

export class FakeGuest {
  readonly clock: Clock;
  readonly programs: Record<string, FakeProgram>;
  readonly ports: Record<number, (data: Uint8Array) => Uint8Array>;
  readonly containers = new Map<string, FakeContainer>();
  /** Content by volume id and path; a 'file' volume's path is ''. */
  readonly volumes = new Map<string, { volume: GuestVolume; files: Map<string, Uint8Array> }>();
  setupDone: SandboxSetup | undefined;
  readonly disks = new Set<string>();
  dead = false;
  readonly #connections = new Set<FakeAgent>();

  constructor(options: FakeGuestOptions = {}) {
    this.clock = options.clock ?? systemClock;
    this.programs = { ...fakePrograms, ...options.programs };
    this.ports = options.ports ?? {};
  }

  connect(): Agent {
    const agent = new FakeAgent(this, () => this.#connections.delete(agent));
    this.#connections.add(agent);
    return agent;
  }

  /** The machine is gone: every connection is told, every process with it. */
  die(message = 'the machine died'): void {
    this.dead = true;
    for (const container of this.containers.values()) container.signal(9);
    for (const agent of [...this.#connections]) agent.end(new SampanError('ServiceUnavailable', message));
  }

  tell(event: AgentEvent): void {
    for (const agent of this.#connections) agent.tell(event);
  }

  /** Marks a container as killed for want of memory. */
  killForMemory(id: string): void {
    const container = this.container(id);
    container.oomKilled = true;
    this.tell({ type: 'oom', containerId: id });
    container.signal(9);
  }

  container(id: string): FakeContainer {
    const container = this.containers.get(id);
    if (!container) throw new SampanError('NotFound', `this sandbox has no container ${id}`);
    return container;
  }

  volume(id: string): { volume: GuestVolume; files: Map<string, Uint8Array> } {
    const volume = this.volumes.get(id);
    if (!volume) throw new SampanError('NotFound', `this sandbox has no volume ${id}`);
    return volume;
  }

  /** A file as a container sees it through its mounts. */
  fileOf(mounts: readonly GuestMount[], path: string): { files: Map<string, Uint8Array>; name: string } | undefined {
    for (const mount of mounts) {
      const inside =
        path === mount.containerPath
          ? ''
          : path.startsWith(`${mount.containerPath}/`)
            ? path.slice(mount.containerPath.length + 1)
            : undefined;
      if (inside === undefined) continue;
      const name = [mount.subPath, inside].filter((part) => part).join('/');
      return { files: this.volume(mount.volumeId).files, name };
    }
    return undefined;
  }
}

class FakeAgent implements Agent {
  readonly #guest: FakeGuest;
  readonly #forget: () => void;
  readonly #events = new EventLog<AgentEvent>();
  readonly #sessions = new Set<FakeSession>();
  #ended: Error | undefined;

  constructor(guest: FakeGuest, forget: () => void) {
    this.#guest = guest;
    this.#forget = forget;
  }

  tell(event: AgentEvent): void {
    this.#events.add(event);
  }

  end(error: Error): void {
    if (this.#ended) return;
    this.#ended = error;
    this.#forget();
    for (const session of this.#sessions) session.kill();
    this.#events.finish({ type: 'closed', error });
  }

  #alive(): FakeGuest {
    if (this.#ended) throw this.#ended;
    return this.#guest;
  }

  async setup(setup: SandboxSetup): Promise<void> {
    const guest = this.#alive();
    guest.setupDone ??= setup;
    for (const disk of setup.disks) guest.disks.add(disk);
  }

  async bindDisk(slot: string): Promise<void> {
    this.#alive().disks.add(slot);
  }

  async createVolume(volume: GuestVolume): Promise<void> {
    const { volumes } = this.#alive();
    if (volume.kind === 'share' && !volume.tag) throw new SampanError('BadRequest', 'a share has a tag');
    if (!volumes.has(volume.id))
      volumes.set(volume.id, { volume, files: new Map(volume.kind === 'file' ? [['', Buffer.alloc(0)]] : []) });
  }

  async putFiles(volumeId: string, files: VolumeFile[]): Promise<void> {
    const { volume, files: present } = this.#alive().volume(volumeId);
    if (volume.kind !== 'files' && volume.kind !== 'file')
      throw new SampanError(
        'FailedPrecondition',
        `volume ${volumeId} is of kind ${volume.kind}; only files and file are filled by the host`,
      );
    present.clear();
    for (const file of files)
      if (file.type === 'file') present.set(file.path, Buffer.from(file.content ?? '', 'base64'));
  }

  async readFile(volumeId: string, limitBytes: number): Promise<Uint8Array> {
    const content = this.#alive().volume(volumeId).files.get('') ?? Buffer.alloc(0);
    return content.subarray(Math.max(0, content.length - limitBytes));
  }

  async createContainer(request: CreateContainer): Promise<{ user?: GuestUser }> {
    const guest = this.#alive();
    if (guest.containers.has(request.id)) return {};
    if (!request.imageSlot === !request.rootfs)
      throw new SampanError('BadRequest', `container ${request.id} wants either imageSlot or rootfs`);
    for (const mount of [...request.mounts, ...(request.rootfs ? [request.rootfs] : [])]) guest.volume(mount.volumeId);
    if (request.pidNamespaceOf) guest.container(request.pidNamespaceOf);
    guest.containers.set(request.id, new FakeContainer(guest, request));
    const [uid, gid = 0] = request.user?.name.split(':').map(Number) ?? [];
    return uid === undefined || Number.isNaN(uid) ? {} : { user: { uid, gid, groups: [gid] } };
  }

  async createExec(request: CreateExec): Promise<void> {
    const guest = this.#alive();
    if (guest.containers.has(request.id)) return;
    guest.containers.set(request.id, guest.container(request.containerId).keptExec(request));
  }

  async awaitReady(id: string): Promise<{ pid: number }> {
    return this.#alive().container(id).ready();
  }

  async readFilter(id: string): Promise<Uint8Array> {
    return this.#alive().container(id).filter();
  }

  async startContainer(id: string): Promise<{ startedAtUnixNanos: bigint; pid: number }> {
    return this.#alive().container(id).start();
  }

  async signal(id: string, signal: number): Promise<void> {
    const container = this.#alive().container(id);
    if (container.state === 'created')
      throw new SampanError('FailedPrecondition', `container ${id} has not been started`);
    container.signal(signal);
  }

  async removeContainer(id: string): Promise<void> {
    const guest = this.#alive();
    const container = guest.containers.get(id);
    if (!container) return;
    if (container.state === 'running') {
      container.signal(9);
      await container.ended;
    }
    guest.containers.delete(id);
    for (const [execId, { execOf }] of guest.containers) if (execOf === id) await this.removeContainer(execId);
  }

  async updateResources(id: string, resources: object): Promise<void> {
    const container = this.#alive().container(id);
    if (container.state !== 'running')
      throw new SampanError('FailedPrecondition', `container ${id} is ${container.state}, not running`);
    container.resources = resources;
  }

  async freeze(id: string, frozen: boolean): Promise<void> {
    const container = this.#alive().container(id);
    if (container.state !== 'running')
      throw new SampanError('FailedPrecondition', `container ${id} is ${container.state}, not running`);
    container.frozen = frozen;
  }

  async processes(id: string): Promise<number[]> {
    return this.#alive().container(id).state === 'running' ? [42] : [];
  }

  async listContainers(): Promise<GuestContainerStatus[]> {
    return [...this.#alive().containers.values()].map((container) => container.status());
  }

  async stats(): Promise<GuestStats> {
    const guest = this.#alive();
    const size = (files: Map<string, Uint8Array>) => [...files.values()].reduce((sum, file) => sum + file.length, 0);
    return {
      containers: [...guest.containers.values()]
        .filter((one) => one.state !== 'created' && one.execOf === undefined)
        .map((one) => one.usage()),
      memoryTotalBytes: 256 * 1024 * 1024,
      memoryAvailableBytes: 200 * 1024 * 1024,
      cpuNanos: 0n,
      scratch: { totalBytes: 0, usedBytes: 0, inodesUsed: 0 },
      volumes: [...guest.volumes].map(([id, { files }]) => ({ id, usedBytes: size(files), inodes: files.size })),
      network: { rxBytes: 0n, txBytes: 0n, rxErrors: 0n, txErrors: 0n },
    };
  }

  async *output(id: string, from: { stdout: bigint; stderr: bigint }): AsyncGenerator<OutputChunk, void, void> {
    const log = this.#alive().container(id).log;
    for await (const chunk of log.read(from)) {
      if (this.#ended) throw this.#ended;
      yield chunk;
    }
  }

  acknowledge(id: string, upTo: { stdout: bigint; stderr: bigint }): void {
    this.#guest.containers.get(id)?.log.acknowledge(upTo);
  }

  async writeStdin(id: string, data: Uint8Array): Promise<void> {
    this.#alive().container(id).writeStdin(data);
  }

  async closeStdin(id: string): Promise<void> {
    this.#alive().container(id).closeStdin();
  }

  async hangUp(id: string): Promise<void> {
    const container = this.#alive().container(id);
    if (!container.request.tty) throw new SampanError('FailedPrecondition', `container ${id} has no terminal`);
    container.closeStdin();
  }

  async resizeTty(id: string, columns: number, rows: number): Promise<void> {
    const container = this.#alive().container(id);
    if (!container.request.tty) throw new SampanError('FailedPrecondition', `container ${id} has no terminal`);
    container.terminal = { columns, rows };
  }

  async exec(request: ExecRequest): Promise<GuestSession> {
    const session = this.#alive().container(request.containerId).exec(request);
    return this.#keep(session);
  }

  async dial(port: number): Promise<GuestSession> {
    const answer = this.#alive().ports[port];
    if (!answer) throw new SampanError('ServiceUnavailable', `connect to localhost:${port} inside the Pod: refused`);
    const talk: FakeProgram = async (process) => {
      for await (const data of process.stdin) process.write(answer(data));
      return 0;
    };
    return this.#keep(
      new FakeSession({ program: talk, args: [], env: {}, guest: this.#guest, mounts: [], stdin: true }),
    );
  }

  #keep(session: FakeSession): GuestSession {
    this.#sessions.add(session);
    const forget = () => this.#sessions.delete(session);
    session.exited.then(forget, forget);
    return session;
  }

  events(signal: AbortSignal): AsyncIterable<AgentEvent> {
    return this.#events.read(signal);
  }

  async close(): Promise<void> {
    this.end(new SampanError('ServiceUnavailable', 'the connection was closed'));
  }
}
