/**
 * The channel protocols of Kubernetes over WebSocket: the first byte of each message names the channel it belongs to, in the base64
 * kinds as a digit in text (k8s.io/apimachinery httpstream/wsstream).
 *
 * Owns the WebSocket: bounds what is queued from it, passes on its backpressure, keeps it alive, hangs up. Does not know what the
 * channels are for.
 */
import { SampanError } from '@sampan/api/errors.ts';
import type { WebSocket } from 'ws';
import type { Clock } from '../../../base/clock.ts';
import { ByteQueue } from '../byte-queue.ts';

/** Unread bytes beyond which the socket is not read any more, and below which it is again. */
const pauseAbove = 512 << 10;
const resumeBelow = 128 << 10;
const maxMessageBytes = 32 << 10;
const keepAlivePeriodMs = 10_000;
/** How long a client may take to answer our closing. */
const lingerMs = 5_000;
/** v5: "the channel named in the second byte is closed". */
const closeSignal = 255;

export interface ChannelsOptions {
  socket: WebSocket;
  encoding: 'binary' | 'base64';
  /** Channels that the client may write to; what comes for others is thrown away. */
  inputs: number[];
  /** The client may close its half of a channel (v5). */
  halfClose: boolean;
  clock: Clock;
}

export class WebSocketChannels {
  readonly #options: ChannelsOptions;
  readonly #socket: WebSocket;
  readonly #inputs = new Map<number, ByteQueue>();
  readonly #gone = new AbortController();
  #queued = 0;

  constructor(options: ChannelsOptions) {
    this.#options = options;
    this.#socket = options.socket;
    for (const channel of options.inputs) this.#inputs.set(channel, new ByteQueue((bytes) => this.#onConsumed(bytes)));
    this.#socket.on('message', (data, isBinary) => this.#onMessage(data as Buffer, isBinary));
    this.#socket.on('error', () => this.#socket.terminate());
    this.#socket.once('close', () => this.#onClose());
    void this.#keepAlive();
  }

  /** Aborts when the client is gone. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** Ends with the client's half-close; errors when it is gone. */
  input(channel: number): ReadableStream<Uint8Array> {
    const queue = this.#inputs.get(channel);
    if (!queue) throw new Error(`channel ${channel} is no input`);
    return queue.readable;
  }

  /** Closing it says nothing: these protocols have no word for it in this direction. */
  output(channel: number): WritableStream<Uint8Array> {
    return new WritableStream({ write: (chunk) => this.send(channel, chunk) });
  }

  /** Resolves when the socket has taken it. Throws ServiceUnavailable when the client is gone. */
  async send(channel: number, bytes: Uint8Array): Promise<void> {
    let rest = bytes;
    do {
      const piece = rest.subarray(0, maxMessageBytes);
      rest = rest.subarray(piece.length);
      await this.#sendMessage(channel, piece);
    } while (rest.length > 0);
  }

  #sendMessage(channel: number, bytes: Uint8Array): Promise<void> {
    const binary = this.#options.encoding === 'binary';
    const message = binary
      ? Buffer.concat([Buffer.of(channel), bytes])
      : String.fromCharCode(48 + channel) + Buffer.from(bytes).toString('base64');
    return new Promise((resolve, reject) => {
      this.#socket.send(message, { binary }, (error) => {
        if (error) reject(new SampanError('ServiceUnavailable', 'the client is gone', {}, { cause: error }));
        else resolve();
      });
    });
  }

  /** Hangs up; what the client still sends is read and thrown away, so that it gets to read what we sent. */
  async close(): Promise<void> {
    for (const queue of this.#inputs.values()) queue.discard();
    this.#socket.resume();
    this.#socket.close(1000);
    await this.#options.clock.sleep(lingerMs, this.#gone.signal).catch(() => {});
    this.#socket.terminate();
  }

  #onMessage(data: Buffer, isBinary: boolean): void {
    const message = this.#decode(data, isBinary);
    if (!message) return;
    if (message.channel === closeSignal && this.#options.halfClose) this.#inputs.get(message.bytes[0] ?? -1)?.end();
    const queue = this.#inputs.get(message.channel);
    if (!queue) return;
    this.#queued += message.bytes.length;
    queue.push(message.bytes);
    if (this.#queued > pauseAbove) this.#socket.pause();
  }

  #decode(data: Buffer, isBinary: boolean): { channel: number; bytes: Buffer } | undefined {
    if (data.length === 0) return undefined;
    if (this.#options.encoding === 'binary') return { channel: data[0]!, bytes: data.subarray(1) };
    if (isBinary) return undefined;
    return { channel: data[0]! - 48, bytes: Buffer.from(data.toString('latin1', 1), 'base64') };
  }

  #onConsumed(bytes: number): void {
    this.#queued -= bytes;
    if (this.#queued < resumeBelow && this.#socket.isPaused) this.#socket.resume();
  }

  #onClose(): void {
    this.#gone.abort();
    const error = new SampanError('ServiceUnavailable', 'the client is gone');
    for (const queue of this.#inputs.values()) queue.fail(error);
  }

  /**
   * While the socket is not read, only a write finds out that the client is gone; and kubectl hangs up when no pong comes to its
   * pings for a minute, so it gets pongs that it did not ask for (RFC 6455, 5.5.3).
   */
  async #keepAlive(): Promise<void> {
    for (;;) {
      await this.#options.clock.sleep(keepAlivePeriodMs, this.#gone.signal).catch(() => {});
      if (this.#gone.signal.aborted) return;
      if (this.#socket.readyState !== this.#socket.OPEN) continue;
      if (this.#socket.isPaused) this.#socket.pong();
      else this.#socket.ping();
    }
  }
}
