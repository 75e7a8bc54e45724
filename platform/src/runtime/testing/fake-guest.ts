/**
 * Guests for tests of the whole runtime: they live on when a runtime is abandoned, as machines do when a server is killed.
 * A guest's programs are words: `say TEXT...`, `exit N`, `sleep`, `say-and-sleep TEXT`, `broken` (cannot be started), `write VOLUME TEXT`.
 */
import { SampanError } from '@sampan/api/errors.ts';
import type {
  Agent,
  AgentEvent,
  ConnectAgent,
  CreateContainer,
  ExitInfo,
  GuestContainerStatus,
  GuestSession,
  GuestVolume,
  OutputChunk,
  SandboxSetup,
  VolumeFile,
} from '../agent/agent.ts';

const SIGKILL = 9;

class GuestContainer {
  readonly request: CreateContainer;
  state: GuestContainerStatus['state'] = 'created';
  exit: ExitInfo | undefined;
  output: OutputChunk[] = [];
  total = { stdout: 0n, stderr: 0n };
  ended = false;
  stdin = '';
  signals: number[] = [];

  constructor(request: CreateContainer) {
    this.request = request;
  }
}

/** What is inside one machine. */
export class FakeGuest {
  readonly calls: string[] = [];
  setup: SandboxSetup | undefined;
  readonly volumes = new Map<string, { volume: GuestVolume; files: VolumeFile[] }>();
  readonly containers = new Map<string, GuestContainer>();
  readonly boundDisks = new Set<string>();
  /** Makes the named call fail from now on. */
  readonly failing = new Map<string, Error>();
  connection: FakeAgent | undefined;
  #wake = Promise.withResolvers<void>();

  /** Whoever waits for output looks again. */
  changed(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }

  get wait(): Promise<void> {
    return this.#wake.promise;
  }

  container(id: string): GuestContainer {
    const found = this.containers.get(id);
    if (!found) throw new SampanError('NotFound', `container ${id} is not in the guest`);
    return found;
  }

  say(id: string, text: string, stream: 'stdout' | 'stderr' = 'stdout'): void {
    const container = this.container(id);
    const data = Buffer.from(text);
    container.output.push({ stream, offset: container.total[stream], timeUnixNanos: 1_000_000_000n, data });
    container.total[stream] += BigInt(data.length);
    this.changed();
  }

  end(id: string, exitCode: number, reason: ExitInfo['reason'] = exitCode === 0 ? 'Completed' : 'Error'): void {
    const container = this.container(id);
    if (container.exit) return;
    container.state = 'exited';
    container.ended = true;
    container.exit = {
      exitCode,
      signal: exitCode > 128 ? exitCode - 128 : 0,
      reason,
      startedAtUnixNanos: 5n,
      finishedAtUnixNanos: 6n,
      message: '',
    };
    this.changed();
    this.connection?.tell({ type: 'exited', containerId: id, exit: container.exit });
  }

  run(container: GuestContainer): void {
    const { args } = (container.request.spec as { process: { args: string[] } }).process;
    const { id } = container.request;
    const [word, ...rest] = args;
    if (word === 'broken') throw new SampanError('InternalError', 'crun: executable file `broken` not found in $PATH');
    container.state = 'running';
    if (word === 'say' || word === 'say-and-sleep') this.say(id, `${rest.join(' ')}\n`);
    if (word === 'write') {
      const [place, text] = rest;
      const mount = container.request.mounts.find(({ containerPath }) => containerPath === place);
      this.volumes.get(mount!.volumeId)!.files[0]!.content = Buffer.from(text!).toString('base64');
    }
    if (word === 'say' || word === 'write') this.end(id, 0);
    if (word === 'exit') this.end(id, Number(rest[0]));
  }
}

/** One connection to a guest. */
export class FakeAgent implements Agent {
  readonly #guest: FakeGuest;
  #events: AgentEvent[] = [];
  #wake = Promise.withResolvers<void>();
  #closed: Error | undefined;

  constructor(guest: FakeGuest) {
    this.#guest = guest;
  }

  tell(event: AgentEvent): void {
    this.#events.push(event);
    if (event.type === 'closed') this.#closed = event.error;
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
    this.#guest.changed();
  }

  /** The newest connection wins; a machine that died takes its own along. */
  break(message: string): void {
    this.tell({ type: 'closed', error: new SampanError('ServiceUnavailable', message) });
  }

  async #call(name: string): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    if (this.#closed) throw this.#closed;
    this.#guest.calls.push(name);
    const error = this.#guest.failing.get(name);
    if (error) throw error;
  }

  async setup(setup: SandboxSetup): Promise<void> {
    await this.#call('setup');
    this.#guest.setup ??= setup;
  }

  async bindDisk(slot: string): Promise<void> {
    await this.#call('bindDisk');
    this.#guest.boundDisks.add(slot);
  }

  async createVolume(volume: GuestVolume): Promise<void> {
    await this.#call('createVolume');
    if (!this.#guest.volumes.has(volume.id)) this.#guest.volumes.set(volume.id, { volume, files: [] });
  }

  async putFiles(id: string, files: VolumeFile[]): Promise<void> {
    await this.#call('putFiles');
    this.#guest.volumes.get(id)!.files = files;
  }

  async readFile(id: string, limitBytes: number): Promise<Uint8Array> {
    await this.#call('readFile');
    return Buffer.from(this.#guest.volumes.get(id)?.files[0]?.content ?? '', 'base64').subarray(-limitBytes);
  }

  async createContainer(request: CreateContainer): Promise<void> {
    await this.#call('createContainer');
    const { setup, boundDisks, volumes, containers } = this.#guest;
    if (!setup) throw new SampanError('FailedPrecondition', 'the sandbox is not set up');
    if (!boundDisks.has(request.imageSlot) && !setup.disks.includes(request.imageSlot))
      throw new SampanError('NotFound', `no disk in ${request.imageSlot}`);
    for (const { volumeId } of request.mounts)
      if (!volumes.has(volumeId)) throw new SampanError('NotFound', `no volume ${volumeId}`);
    if (!containers.has(request.id)) containers.set(request.id, new GuestContainer(request));
  }

  async startContainer(id: string): Promise<{ startedAtUnixNanos: bigint }> {
    await this.#call('startContainer');
    this.#guest.run(this.#guest.container(id));
    return { startedAtUnixNanos: 5n };
  }

  async signal(id: string, signal: number): Promise<void> {
    await this.#call('signal');
    const container = this.#guest.container(id);
    container.signals.push(signal);
    if (container.state === 'running' && signal === SIGKILL) this.#guest.end(id, 128 + SIGKILL);
  }

  async removeContainer(id: string): Promise<void> {
    await this.#call('removeContainer');
    const container = this.#guest.containers.get(id);
    if (container) container.ended = true;
    this.#guest.containers.delete(id);
    this.#guest.changed();
  }

  async updateResources(): Promise<void> {
    await this.#call('updateResources');
  }

  async listContainers(): Promise<GuestContainerStatus[]> {
    await this.#call('listContainers');
    return [...this.#guest.containers].map(([id, { state, exit }]) => {
      return { id, state, pid: 2, startedAtUnixNanos: 5n, ...(exit ? { exit } : {}) };
    });
  }

  async stats() {
    await this.#call('stats');
    const containers = [...this.#guest.containers.keys()].map((id) => ({
      id,
      cpuNanos: 7n,
      memoryWorkingSetBytes: 1000,
      memoryUsageBytes: 2000,
      memoryRssBytes: 500,
      pageFaults: 1,
      majorPageFaults: 0,
      pids: 1,
      rootfsUsedBytes: 10,
      rootfsInodes: 2,
    }));
    return {
      containers,
      memoryTotalBytes: 5000,
      memoryAvailableBytes: 1500,
      cpuNanos: 9n,
      scratch: { totalBytes: 0, usedBytes: 0, inodesUsed: 0 },
      volumes: [],
      network: { rxBytes: 1n, txBytes: 2n, rxErrors: 0n, txErrors: 0n },
    };
  }

  async *output(id: string, from: { stdout: bigint; stderr: bigint }): AsyncIterable<OutputChunk> {
    const container = this.#guest.container(id);
    const at = { ...from };
    for (;;) {
      if (this.#closed) throw this.#closed;
      const next = container.output.find((chunk) => chunk.offset + BigInt(chunk.data.length) > at[chunk.stream]);
      if (next) {
        const skip = at[next.stream] > next.offset ? Number(at[next.stream] - next.offset) : 0;
        at[next.stream] = next.offset + BigInt(next.data.length);
        yield { ...next, offset: next.offset + BigInt(skip), data: next.data.subarray(skip) };
      } else if (container.ended) return;
      else await this.#guest.wait;
    }
  }

  acknowledge(id: string, upTo: { stdout: bigint; stderr: bigint }): void {
    const container = this.#guest.containers.get(id);
    if (!container) return;
    container.output = container.output.filter(
      ({ stream, offset, data }) => offset + BigInt(data.length) > upTo[stream],
    );
  }

  async writeStdin(id: string, data: Uint8Array): Promise<void> {
    await this.#call('writeStdin');
    this.#guest.container(id).stdin += Buffer.from(data).toString();
  }

  async closeStdin(id: string): Promise<void> {
    await this.#call('closeStdin');
    this.#guest.container(id).stdin += '<end>';
  }

  async resizeTty(): Promise<void> {
    await this.#call('resizeTty');
  }

  async exec(request: { args: string[] }): Promise<GuestSession> {
    await this.#call('exec');
    const [word, ...rest] = request.args;
    const exited = Promise.withResolvers<{ exitCode: number; signal: number }>();
    if (word !== 'sleep') exited.resolve({ exitCode: word === 'exit' ? Number(rest[0]) : 0, signal: 0 });
    const kill = () => exited.resolve({ exitCode: 137, signal: SIGKILL });
    const stream = (text: string) =>
      new ReadableStream<Uint8Array>({
        start: (controller) => {
          if (text) controller.enqueue(Buffer.from(text));
          void exited.promise.then(() => controller.close());
        },
      });
    return {
      stdin: new WritableStream(),
      stdout: stream(word === 'say' ? `${rest.join(' ')}\n` : ''),
      stderr: stream(word === 'exit' ? 'leaving\n' : ''),
      resize: async () => {},
      exited: exited.promise,
      kill,
      [Symbol.asyncDispose]: async () => kill(),
    };
  }

  async dial(port: number): Promise<GuestSession> {
    await this.#call('dial');
    if (port !== 80) throw new SampanError('ServiceUnavailable', `connection to port ${port} refused`);
    return this.exec({ args: ['say', 'HTTP'] });
  }

  async *events(signal: AbortSignal): AsyncIterable<AgentEvent> {
    signal.addEventListener('abort', () => this.break('closed by the host'));
    for (;;) {
      const event = this.#events.shift();
      if (event) yield event;
      if (event?.type === 'closed') return;
      if (!event) await this.#wake.promise;
    }
  }

  async close(): Promise<void> {
    this.break('closed by the host');
  }
}

/** Guests by the path of their machine's channel. */
export class FakeGuests {
  readonly byChannel = new Map<string, FakeGuest>();
  /** What each new guest is made to do. */
  prepare: (guest: FakeGuest) => FakeGuest = (guest) => guest;

  readonly connect: ConnectAgent = async ({ channelPath, signal }) => {
    await new Promise((resolve) => setImmediate(resolve));
    if (signal?.aborted) throw signal.reason;
    const guest = this.byChannel.get(channelPath) ?? this.prepare(new FakeGuest());
    this.byChannel.set(channelPath, guest);
    guest.connection?.break('another connection took over');
    const agent = new FakeAgent(guest);
    guest.connection = agent;
    return agent;
  };
}
