/** A container of a FakeGuest: a function, its output kept until acknowledged, and the states of agent.ts. */
import { SampanError } from '@sampan/api/errors.ts';
import type {
  ContainerUsage,
  CreateContainer,
  CreateExec,
  ExecRequest,
  ExitInfo,
  GuestContainerStatus,
  OutputChunk,
} from './agent.ts';
import type { FakeGuest } from './fake-agent.ts';
import type { FakeProgram } from './fake-programs.ts';
import { FakeSession, fakeProcess, run } from './fake-session.ts';

interface SpecProcess {
  args?: string[];
  env?: string[];
}

export class FakeContainer {
  readonly request: CreateContainer;
  readonly log = new FakeOutputLog();
  state: 'created' | 'running' | 'exited' = 'created';
  startedAt = 0n;
  exit: ExitInfo | undefined;
  oomKilled = false;
  frozen = false;
  resources: object | undefined;
  /** Set where it is a process in another container: that one's id. */
  execOf: string | undefined;
  terminal: { columns: number; rows: number } | undefined;
  ended: Promise<void> = Promise.resolve();
  #owner: FakeContainer | undefined;
  readonly #guest: FakeGuest;
  readonly #killed = new AbortController();
  readonly #stdin = new TransformStream<Uint8Array, Uint8Array>({}, { highWaterMark: Number.POSITIVE_INFINITY });
  readonly #stdinWriter = this.#stdin.writable.getWriter();
  #stdinOpen: boolean;

  constructor(guest: FakeGuest, request: CreateContainer) {
    this.#guest = guest;
    this.request = request;
    this.#stdinOpen = request.stdin;
  }

  start(): { startedAtUnixNanos: bigint; pid: number } {
    if (this.exit?.reason === 'StartError') throw new SampanError('InternalError', this.exit.message);
    if (this.state !== 'created') return { startedAtUnixNanos: this.startedAt, pid: 42 };
    const process = this.#process();
    const program = this.#find(process.args);
    if (!program || this.#owner?.frozen) {
      const message = this.#owner?.frozen ? `the container \`${this.execOf}\` is paused` : this.#missing(process.args)!;
      this.#finish({ exitCode: 128, signal: 0 }, 'StartError', message);
      throw new SampanError('InternalError', message);
    }
    this.state = 'running';
    this.startedAt = this.#now();
    this.ended = this.#run(program, process);
    return { startedAtUnixNanos: this.startedAt, pid: 42 };
  }

  ready(): { pid: number } {
    const words = this.exit?.message ?? this.#missing(this.#process().args);
    if (words) throw new SampanError('InternalError', words);
    return { pid: 42 };
  }

  /** In place of what crun would compile: `linux.seccomp` as text, padded to whole instructions. */
  filter(): Uint8Array {
    if (this.state !== 'created')
      throw new SampanError('FailedPrecondition', `container ${this.request.id} is not one that waits for its start`);
    const { seccomp } = (this.request.spec as { linux?: { seccomp?: object } }).linux ?? {};
    const text = seccomp ? JSON.stringify(seccomp) : '';
    return Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
  }

  #missing(args: string[]): string | undefined {
    return this.#find(args)
      ? undefined
      : `executable file \`${args[0]}\` not found in $PATH: No such file or directory`;
  }

  async #run(program: FakeProgram, { args, env }: { args: string[]; env: Record<string, string> }): Promise<void> {
    const write = (stream: 'stdout' | 'stderr') => (data: string | Uint8Array) =>
      this.log.push(stream, Buffer.from(data), this.#now());
    const process = fakeProcess(
      { args, env, guest: this.#guest, mounts: this.request.mounts },
      {
        stdin: this.request.stdin ? this.#stdin.readable : new Blob([]).stream(),
        write: write('stdout'),
        writeError: write(this.request.tty ? 'stdout' : 'stderr'),
        killed: this.#killed.signal,
      },
    );
    const { exitCode, signal } = await run(program, process);
    this.#finish({ exitCode, signal }, exitCode === 0 ? 'Completed' : this.oomKilled ? 'OOMKilled' : 'Error', '');
  }

  #finish(how: { exitCode: number; signal: number }, reason: ExitInfo['reason'], message: string): void {
    this.state = 'exited';
    this.#stdinOpen = false;
    this.exit = { ...how, reason, message, startedAtUnixNanos: this.startedAt, finishedAtUnixNanos: this.#now() };
    this.log.end();
    this.#guest.tell({ type: 'exited', containerId: this.request.id, exit: this.exit });
  }

  signal(signal: number): void {
    if (this.state === 'running') this.#killed.abort(signal);
  }

  exec(request: ExecRequest): FakeSession {
    if (this.state !== 'running')
      throw new SampanError('FailedPrecondition', `container ${this.request.id} is ${this.state}, not running`);
    const program = this.#find(request.args);
    if (!program) throw new SampanError('InternalError', `executable file \`${request.args[0]}\` not found in $PATH`);
    const env = { ...this.#process().env, ...variables(request.env ?? []) };
    const { args, stdin } = request;
    const own = request.process as SpecProcess | undefined;
    if (own) Object.assign(env, variables(own.env ?? []));
    return new FakeSession({ program, args, env, guest: this.#guest, mounts: this.request.mounts, stdin });
  }

  /** A process beside this one's, in the table of containers as the agent has it. */
  keptExec(request: CreateExec): FakeContainer {
    if (this.state !== 'running')
      throw new SampanError('FailedPrecondition', `container ${this.request.id} is ${this.state}, not running`);
    const { id, args, env = [], tty, stdin } = request;
    const process = { args, env: (request.process as SpecProcess | undefined)?.env ?? env };
    const { mounts } = this.request;
    const spec = { process };
    const container = { id, spec, mounts, readOnlyRootfs: false, tty, stdin, stdinOnce: false };
    const exec = new FakeContainer(this.#guest, container);
    exec.execOf = this.request.id;
    const { columns, rows } = request;
    if (columns && rows) exec.terminal = { columns, rows };
    exec.#owner = this;
    return exec;
  }

  writeStdin(data: Uint8Array): void {
    if (!this.#stdinOpen)
      throw new SampanError('FailedPrecondition', `stdin of container ${this.request.id} is closed`);
    void this.#stdinWriter.write(data).catch(() => {});
  }

  closeStdin(): void {
    if (this.#stdinOpen) void this.#stdinWriter.close().catch(() => {});
    this.#stdinOpen = false;
  }

  status(): GuestContainerStatus {
    const { state, exit, startedAt } = this;
    return { id: this.request.id, state, pid: state === 'created' ? 0 : 42, startedAtUnixNanos: startedAt, exit };
  }

  usage(): ContainerUsage {
    return {
      id: this.request.id,
      cpuNanos: 0n,
      memoryWorkingSetBytes: 0,
      memoryUsageBytes: 0,
      memoryRssBytes: 0,
      pageFaults: 0,
      majorPageFaults: 0,
      pids: this.state === 'running' ? 1 : 0,
      rootfsUsedBytes: 0,
      rootfsInodes: 0,
    };
  }

  #now(): bigint {
    return BigInt(this.#guest.clock.now()) * 1_000_000n;
  }

  #find(args: readonly string[]): FakeProgram | undefined {
    return this.#guest.programs[args[0]?.split('/').at(-1) ?? ''];
  }

  #process(): { args: string[]; env: Record<string, string> } {
    const process = (this.request.spec as { process?: SpecProcess }).process;
    return { args: process?.args ?? [], env: variables(process?.env ?? []) };
  }
}

function variables(list: readonly string[]): Record<string, string> {
  return Object.fromEntries(list.map((entry) => [entry.split('=', 1)[0]!, entry.slice(entry.indexOf('=') + 1)]));
}

/** Chunks until they are acknowledged; one reader at a time. */
class FakeOutputLog {
  #chunks: OutputChunk[] = [];
  readonly #size = { stdout: 0n, stderr: 0n };
  #ended = false;
  #wake: (() => void) | undefined;

  push(stream: 'stdout' | 'stderr', data: Uint8Array, timeUnixNanos: bigint): void {
    if (data.length === 0) return;
    this.#chunks.push({ stream, offset: this.#size[stream], timeUnixNanos, data });
    this.#size[stream] += BigInt(data.length);
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  acknowledge(upTo: { stdout: bigint; stderr: bigint }): void {
    this.#chunks = this.#chunks.flatMap((chunk) => cut(chunk, upTo[chunk.stream]));
  }

  async *read(from: { stdout: bigint; stderr: bigint }): AsyncGenerator<OutputChunk, void, void> {
    const next = { ...from };
    for (;;) {
      const chunk = this.#chunks.flatMap((one) => cut(one, next[one.stream]))[0];
      if (chunk) {
        next[chunk.stream] = chunk.offset + BigInt(chunk.data.length);
        yield chunk;
      } else if (this.#ended) return;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }
}

/** What of a chunk lies at or behind an offset. */
function cut(chunk: OutputChunk, offset: bigint): OutputChunk[] {
  const skip = offset - chunk.offset;
  if (skip <= 0n) return [chunk];
  if (skip >= BigInt(chunk.data.length)) return [];
  return [{ ...chunk, offset, data: chunk.data.subarray(Number(skip)) }];
}
