/**
 * A client of QEMU's machine protocol (QMP): one JSON object a line. Owns the connection and the matching of answers to calls.
 * QEMU is not trusted (a guest may have taken it over): lines are bounded, shapes are checked, silence times out; whatever breaks the
 * protocol closes the connection.
 */
import { connect, type Socket } from 'node:net';
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import { z } from 'zod';
import type { Clock } from '../../base/clock.ts';

const maxLineBytes = 1 << 20;
/** Long: on a host where many machines start at once, a VMM may wait for the CPU. */
const defaultTimeoutMs = 30_000;

const messageSchema = z.union([
  z.looseObject({ event: z.string().max(128), data: z.record(z.string(), z.unknown()).optional() }),
  z.looseObject({ id: z.number().int(), return: z.unknown() }),
  z.looseObject({
    id: z.number().int().optional(),
    error: z.looseObject({ desc: z.string().transform((text) => text.slice(0, 1024)) }),
  }),
  z.looseObject({ QMP: z.unknown() }),
]);

export interface QmpEvent {
  event: string;
  data: Record<string, unknown>;
}

interface Pending {
  command: string;
  resolve: (value: unknown) => void;
  reject: (error: Error) => void;
}

export class QmpClient {
  /** Resolves, never rejects, when the connection is gone, with the reason when it was a breach of the protocol. */
  readonly closed: Promise<Error | undefined>;
  onEvent: (event: QmpEvent) => void = () => {};
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #pending = new Map<number, Pending>();
  readonly #greeting = Promise.withResolvers<void>();
  #nextId = 1;
  #chunks: Buffer[] = [];
  #bufferedBytes = 0;
  #breach: Error | undefined;

  private constructor(socket: Socket, clock: Clock) {
    this.#socket = socket;
    this.#clock = clock;
    this.#greeting.promise.catch(() => {});
    const { promise, resolve } = Promise.withResolvers<Error | undefined>();
    this.closed = promise;
    socket.on('data', (chunk) => this.#receive(chunk));
    socket.on('error', () => {});
    socket.on('close', () => {
      const error = this.#breach ?? new SampanError('ServiceUnavailable', 'the VMM closed its QMP connection');
      for (const pending of this.#pending.values()) pending.reject(error);
      this.#pending.clear();
      this.#greeting.reject(error);
      resolve(this.#breach);
    });
  }

  /** Connects and negotiates. Throws ServiceUnavailable (nobody listens, closed) or Timeout. */
  static async connect(path: string, clock: Clock, timeoutMs = defaultTimeoutMs): Promise<QmpClient> {
    const socket = connect(path);
    const client = new QmpClient(socket, clock);
    try {
      const connected = new Promise<void>((resolve, reject) => {
        socket.once('connect', resolve);
        socket.once('error', (error) =>
          reject(new SampanError('ServiceUnavailable', `QMP at ${path}: ${error.message}`)),
        );
      });
      await client.#within(Promise.all([connected, client.#greeting.promise]), timeoutMs, 'greeting');
      await client.call('qmp_capabilities', {}, timeoutMs);
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /** Throws InternalError with QEMU's words, Timeout, or ServiceUnavailable when the connection closes first. */
  async call(command: string, args: object = {}, timeoutMs = defaultTimeoutMs): Promise<unknown> {
    if (this.#socket.destroyed)
      throw this.#breach ?? new SampanError('ServiceUnavailable', `${command}: the VMM is gone`);
    const id = this.#nextId++;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#pending.set(id, { command, resolve, reject });
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    try {
      return await this.#within(promise, timeoutMs, command);
    } finally {
      this.#pending.delete(id);
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  async #within<T>(work: Promise<T>, timeoutMs: number, what: string): Promise<T> {
    const stop = new AbortController();
    const timeout = this.#clock.sleep(timeoutMs, stop.signal).then(() => {
      throw new SampanError('Timeout', `the VMM did not answer ${what} within ${timeoutMs} ms`);
    });
    timeout.catch(() => {});
    try {
      return await Promise.race([work, timeout]);
    } finally {
      stop.abort();
    }
  }

  #receive(chunk: Buffer): void {
    let rest = chunk;
    for (let end = rest.indexOf(10); end >= 0 && !this.#breach; end = rest.indexOf(10)) {
      const line = Buffer.concat([...this.#chunks, rest.subarray(0, end)]);
      this.#chunks = [];
      this.#bufferedBytes = 0;
      rest = rest.subarray(end + 1);
      this.#take(line);
    }
    this.#chunks.push(rest);
    this.#bufferedBytes += rest.length;
    if (this.#bufferedBytes > maxLineBytes) this.#break(`a line of more than ${maxLineBytes} bytes`);
  }

  #take(line: Buffer): void {
    let message: z.infer<typeof messageSchema>;
    try {
      message = messageSchema.parse(JSON.parse(line.toString('utf8')));
    } catch (error) {
      this.#break(messageOf(error).slice(0, 200));
      return;
    }
    if ('event' in message) {
      this.onEvent({ event: message.event as string, data: (message.data ?? {}) as Record<string, unknown> });
    } else if ('QMP' in message) {
      this.#greeting.resolve();
    } else if ('error' in message) {
      const { desc } = message.error as { desc: string };
      const pending = this.#pending.get(message.id as number);
      pending?.reject(new SampanError('InternalError', `the VMM refused ${pending.command}: ${desc}`));
    } else {
      this.#pending.get(message.id as number)?.resolve(message.return);
    }
  }

  #break(why: string): void {
    this.#breach = new SampanError('InternalError', `the VMM broke the QMP protocol: ${why}`);
    this.#socket.destroy();
  }
}

const statusSchema = z.looseObject({ status: z.string().max(64) });

/** QEMU's RunState: 'running', 'paused', 'internal-error' and others. Throws as call() does. */
export async function statusOf(qmp: QmpClient): Promise<string> {
  return statusSchema.parse(await qmp.call('query-status')).status;
}
