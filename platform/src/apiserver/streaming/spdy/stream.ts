/**
 * One stream of a SPDY connection, as a pair of web streams.
 *
 * Owns what arrived and was not read yet. Does not own the socket or the windows (connection.ts).
 *
 *   open ──FIN or RST from the client──▶ nothing more to read      both ──▶ forgotten by the connection
 *     └──── our FIN or RST ───────────▶ nothing more to write
 */
import { SampanError } from '@sampan/api/errors.ts';
import { ByteQueue } from '../byte-queue.ts';
import type { ResetCode } from './frames.ts';
import { resetCodes } from './frames.ts';
import type { Headers } from './headers.ts';

/** What a stream asks of its connection. */
export interface StreamHost {
  /** Resolves when there is room for more. Throws when the stream or the connection is gone. */
  sendData(stream: SpdyStream, data: Uint8Array, fin: boolean): Promise<void>;
  sendReset(stream: SpdyStream, code: ResetCode): void;
  /** So many bytes were taken out of the stream's queue. */
  consumed(stream: SpdyStream, bytes: number): void;
  /** Nothing more comes or goes. */
  ended(stream: SpdyStream): void;
}

export class SpdyStream {
  readonly id: number;
  readonly headers: Headers;
  /** Closing it sends FIN, aborting it RST. */
  readonly writable: WritableStream<Uint8Array>;

  readonly #host: StreamHost;
  readonly #input: ByteQueue;
  readonly #broken = new AbortController();
  #readOver = false;
  #writeOver = false;
  #writer: WritableStreamDefaultController | undefined;

  constructor(host: StreamHost, id: number, headers: Headers) {
    this.#host = host;
    this.id = id;
    this.headers = headers;
    this.#input = new ByteQueue((bytes) => this.#host.consumed(this, bytes));
    this.writable = new WritableStream({
      start: (controller) => {
        this.#writer = controller;
      },
      write: (chunk) => (chunk.length > 0 ? this.#host.sendData(this, chunk, false) : undefined),
      close: async () => {
        await this.#host.sendData(this, new Uint8Array(0), true);
        this.#end({ write: true });
      },
      abort: () => this.reset(resetCodes.cancel),
    });
  }

  /** Ends with the client's FIN; errors when the client resets the stream or is gone. */
  get readable(): ReadableStream<Uint8Array> {
    return this.#input.readable;
  }

  /** Aborts when the stream was reset by either side, or the client is gone. */
  get broken(): AbortSignal {
    return this.#broken.signal;
  }

  /** Bytes that arrived and were not read. */
  get queued(): number {
    return this.#input.queued;
  }

  /** What comes from now on is thrown away, so that an unread stream holds up no other. */
  discard(): void {
    this.#input.discard();
  }

  /** From the connection: data, and whether it is the last. */
  receive(bytes: Uint8Array, fin: boolean): void {
    this.#input.push(bytes);
    if (!fin) return;
    this.#input.end();
    this.#end({ read: true });
  }

  /** From the connection: the client reset the stream, or is gone. */
  fail(error: Error): void {
    this.#broken.abort();
    this.#input.fail(error);
    this.#writer?.error(error);
    this.#end({ read: true, write: true });
  }

  reset(code: ResetCode): void {
    if (this.#readOver && this.#writeOver) return;
    this.#host.sendReset(this, code);
    this.fail(new SampanError('ServiceUnavailable', `stream ${this.id} was reset`));
  }

  #end(what: { read?: boolean; write?: boolean }): void {
    const before = this.#readOver && this.#writeOver;
    this.#readOver ||= what.read ?? false;
    this.#writeOver ||= what.write ?? false;
    if (!before && this.#readOver && this.#writeOver) this.#host.ended(this);
  }
}
