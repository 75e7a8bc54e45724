/**
 * The Agent of a real guest: agent.ts over guest/PROTOCOL.md. Owns the translation of calls and answers; the connection and its bounds are in
 * agent-connection.ts. Trusts nothing that comes back.
 */
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import type { z } from 'zod';
import { type Clock, systemClock } from '../../base/clock.ts';
import type {
  Agent,
  AgentEvent,
  ConnectAgent,
  CreateContainer,
  CreateExec,
  ExecRequest,
  GuestContainerStatus,
  GuestSession,
  GuestStats,
  GuestUser,
  GuestVolume,
  OutputChunk,
  SandboxSetup,
  VolumeFile,
} from './agent.ts';
import { AgentConnection, dialAgent } from './agent-connection.ts';
import {
  containersSchema,
  createdSchema,
  processesSchema,
  readySchema,
  sessionSchema,
  startedSchema,
  statsSchema,
} from './agent-messages.ts';
import { EventLog } from './event-log.ts';
import { frameType } from './frames.ts';
import { AgentSession } from './guest-session.ts';
import { type Offsets, OutputStream } from './output-stream.ts';

const maxFilesBytes = 8 * 1024 * 1024;
/** The kernel takes no larger one (guest/agent/src/filter.rs). */
const maxFilterBytes = 32 * 1024;
const stdinPieceBytes = 48 * 1024;
const retryMs = 10;
/** A quarter of what the guest keeps. */
const acknowledgeBytes = 128 * 1024;
const acknowledgeMs = 10;

interface Acknowledging {
  next?: Offsets;
  /** Ends the wait for more. */
  hurry?: () => void;
}

export const connectAgent: ConnectAgent = async ({ channelPath, sandboxId, timeoutMs, adopted, signal }) => {
  const clock = systemClock;
  const timeout = AbortSignal.timeout(Math.max(1, timeoutMs));
  const either = signal ? AbortSignal.any([signal, timeout]) : timeout;
  let last = 'no answer';
  let torn = adopted;
  // Once a try of our own has been sent, it too may be torn.
  const onConnected = () => {
    torn = true;
  };
  for (;;) {
    try {
      const dialled = await dialAgent({ channelPath, adopted: torn, signal: either, onConnected });
      return new AgentClient(sandboxId, dialled, clock);
    } catch (error) {
      signal?.throwIfAborted();
      if (!timeout.aborted) last = messageOf(error);
      await clock.sleep(retryMs, either).catch(() => {});
      signal?.throwIfAborted();
      if (timeout.aborted)
        throw new SampanError(
          'Timeout',
          `agent of sandbox ${sandboxId} did not answer within ${timeoutMs} ms: ${last}`,
        );
    }
  }
};

class AgentClient implements Agent {
  readonly #connection: AgentConnection;
  readonly #events = new EventLog<AgentEvent>();
  readonly #outputs = new Map<string, OutputStream>();
  readonly #acknowledging = new Map<string, Acknowledging>();
  readonly #clock: Clock;

  constructor(sandboxId: string, dialled: Awaited<ReturnType<typeof dialAgent>>, clock: Clock) {
    this.#clock = clock;
    this.#connection = new AgentConnection(
      {
        channel: dialled.channel,
        sandboxId,
        clock,
        onEvent: (event) => this.#events.add(event),
        onClosed: (error) => this.#events.finish({ type: 'closed', error }),
      },
      dialled.bytes,
    );
    dialled.channel.socket.resume();
  }

  async #call(method: string, params: object, blob?: Uint8Array): Promise<unknown> {
    return (await this.#connection.call(method, params, blob)).ok;
  }

  /** An answer that is not what its call answers with ends the connection, as every lie does. */
  #parsed<T>(schema: z.ZodType<T>, answer: unknown): T {
    const parsed = schema.safeParse(answer);
    if (!parsed.success) throw this.#connection.breakOff('an answer of the wrong form');
    return parsed.data;
  }

  async setup(setup: SandboxSetup): Promise<void> {
    await this.#call('setup', setup);
  }

  async forget(): Promise<void> {
    await this.#call('forget', {});
  }

  async bindDisk(slot: string): Promise<void> {
    await this.#call('bindDisk', { slot });
  }

  async createVolume(volume: GuestVolume): Promise<void> {
    await this.#call('createVolume', volume);
  }

  async putFiles(volumeId: string, files: VolumeFile[]): Promise<void> {
    const contents = files.map((file) => Buffer.from(file.type === 'file' ? (file.content ?? '') : '', 'base64'));
    const blob = Buffer.concat(contents);
    if (blob.length > maxFilesBytes)
      throw new SampanError(
        'RequestEntityTooLarge',
        `volume ${volumeId}: files of ${blob.length} bytes, at most ${maxFilesBytes} fit`,
      );
    const entries = files.map(({ content: _, ...file }, index) => ({ ...file, size: contents[index]!.length }));
    await this.#call('putFiles', { volumeId, files: entries }, blob);
  }

  async readFile(volumeId: string, limitBytes: number): Promise<Uint8Array> {
    const { blob } = await this.#connection.call('readFile', { volumeId, limitBytes });
    return blob.subarray(0, limitBytes);
  }

  async createContainer(request: CreateContainer): Promise<{ user?: GuestUser }> {
    return this.#parsed(createdSchema, await this.#call('createContainer', request)) ?? {};
  }

  async createExec(request: CreateExec): Promise<void> {
    await this.#call('createExec', request);
  }

  async startContainer(id: string): Promise<{ startedAtUnixNanos: bigint; pid?: number }> {
    const { startedAtUnixNanos, pid } = this.#parsed(startedSchema, await this.#call('startContainer', { id }));
    return { startedAtUnixNanos, ...(pid === undefined ? {} : { pid }) };
  }

  async awaitReady(id: string): Promise<{ pid: number }> {
    return this.#parsed(readySchema, await this.#call('awaitReady', { id }));
  }

  async readFilter(id: string): Promise<Uint8Array> {
    const { blob } = await this.#connection.call('readFilter', { id });
    if (blob.length > maxFilterBytes) throw this.#connection.breakOff('a filter that no kernel takes');
    return blob;
  }

  async signal(id: string, signal: number, all = false): Promise<void> {
    await this.#call('signal', { id, signal, all });
  }

  async removeContainer(id: string): Promise<void> {
    await this.#call('removeContainer', { id });
  }

  async updateResources(id: string, resources: object): Promise<void> {
    await this.#call('updateResources', { id, resources });
  }

  async freeze(id: string, frozen: boolean): Promise<void> {
    await this.#call('freeze', { id, frozen });
  }

  async processes(id: string): Promise<number[]> {
    return this.#parsed(processesSchema, await this.#call('processes', { id }));
  }

  async listContainers(): Promise<GuestContainerStatus[]> {
    return this.#parsed(containersSchema, await this.#call('listContainers', {}));
  }

  async stats(): Promise<GuestStats> {
    return this.#parsed(statsSchema, await this.#call('stats', {}));
  }

  async *output(id: string, from: Offsets): AsyncGenerator<OutputChunk, void, void> {
    const output = new OutputStream(from);
    const stream = this.#connection.addStream(output);
    this.#outputs.set(id, output);
    try {
      await this.#call('output', { id, stream, stdout: `${from.stdout}`, stderr: `${from.stderr}` });
      yield* output.chunks();
    } finally {
      this.#connection.dropStream(stream);
      this.#connection.send({ type: frameType.close, id: stream });
      if (this.#outputs.get(id) === output) this.#outputs.delete(id);
    }
  }

  /** A flood is acknowledged in large steps, the rest a moment later: each word costs the guest as much as a thousand bytes. */
  acknowledge(id: string, upTo: Offsets): void {
    const output = this.#outputs.get(id);
    output?.acknowledge(upTo);
    const running = this.#acknowledging.get(id);
    if (running) {
      running.next = upTo;
      if (!output || output.untoldBytes >= acknowledgeBytes) running.hurry?.();
    } else void this.#acknowledgeAll(id, upTo);
  }

  /** One call under way for each container; the newest of those that come meanwhile goes next. */
  async #acknowledgeAll(id: string, upTo: Offsets): Promise<void> {
    const state: Acknowledging = { next: upTo };
    this.#acknowledging.set(id, state);
    while (state.next) {
      const output = this.#outputs.get(id);
      if (output && output.untoldBytes < acknowledgeBytes)
        await Promise.race([
          this.#clock.sleep(acknowledgeMs),
          new Promise<void>((resolve) => {
            state.hurry = resolve;
          }),
        ]);
      const { stdout, stderr } = state.next;
      delete state.next;
      delete state.hurry;
      output?.told();
      // A container that is gone needs no acknowledgement, nor does one whose agent is.
      await this.#call('acknowledge', { id, stdout: `${stdout}`, stderr: `${stderr}` }).catch(() => {});
    }
    this.#acknowledging.delete(id);
  }

  async writeStdin(id: string, data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length; at += stdinPieceBytes)
      await this.#call('writeStdin', { id }, data.subarray(at, at + stdinPieceBytes));
  }

  async closeStdin(id: string): Promise<void> {
    await this.#call('closeStdin', { id });
  }

  async hangUp(id: string): Promise<void> {
    await this.#call('hangUp', { id });
  }

  async resizeTty(id: string, columns: number, rows: number): Promise<void> {
    await this.#call('resizeTty', { id, columns, rows });
  }

  exec(request: ExecRequest): Promise<GuestSession> {
    return this.#open('exec', request);
  }

  dial(port: number): Promise<GuestSession> {
    return this.#open('dial', { port });
  }

  async #open(method: string, params: object): Promise<GuestSession> {
    const session = new AgentSession(this.#connection);
    try {
      const answer = await this.#call(method, { ...params, stream: session.id });
      const pid = this.#parsed(sessionSchema, answer)?.pid;
      if (pid !== undefined) session.pid = pid;
      return session;
    } catch (error) {
      session.abandon(error instanceof Error ? error : new Error(messageOf(error)));
      throw error;
    }
  }

  events(signal: AbortSignal): AsyncIterable<AgentEvent> {
    return this.#events.read(signal);
  }

  async close(): Promise<void> {
    this.#connection.close();
  }
}
