/**
 * An end of a SPDY/3.1 connection, over any duplex: the bare socket after an upgrade, or a WebSocket that carries SPDY. Mostly the server's; the client's opens
 * streams instead of being told of them, and takes none.
 *
 * Owns the duplex, the streams on it, and both directions' bounds. Does not know what the streams are for.
 *
 * Flow control: SPDY/3.1 has windows, and the SPDY library of kubectl and kubelet neither sends nor heeds them. So windows count from
 * the moment a client shows that it knows them (WINDOW_UPDATE, or SETTINGS with an initial window). A client that does not is held
 * back by TCP: when too much stands unread, nothing more is read. What it does not take in is held back by the duplex.
 */
import type { Duplex } from 'node:stream';
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import type { Clock } from '../../../base/clock.ts';
import type { Logger } from '../../../base/log.ts';
import {
  dataFrame,
  type FramePart,
  FrameReader,
  frameFlags,
  frameTypes,
  goAwayCodes,
  goAwayFrame,
  invalid,
  pingFrame,
  type ResetCode,
  resetCodes,
  resetFrame,
  synReplyFrame,
  synStreamFrame,
} from './frames.ts';
import { HeaderReader, HeaderWriter } from './headers.ts';
import { SpdyStream, type StreamHost } from './stream.ts';
import { Windows } from './windows.ts';

export interface SpdyConnectionOptions {
  duplex: Duplex;
  /** What came with the upgrade request behind its headers. */
  head?: Buffer;
  /** Called with each stream the client opens, before any of its data. Throwing refuses the stream. Absent: this is the client's end. */
  onStream?: (stream: SpdyStream) => void;
  log: Logger;
  clock: Clock;
}

const maxStreams = 512;
/** Unread bytes of one stream, and of all, beyond which nothing more is read. */
const maxQueuedPerStream = 1 << 20;
const maxQueued = 8 << 20;
const maxDataFrame = 32 << 10;
const pingPeriodMs = 10_000;
/** How long the client may take to hang up after GOAWAY. */
const lingerMs = 5_000;

export class SpdyConnection implements StreamHost {
  readonly #options: SpdyConnectionOptions;
  readonly #duplex: Duplex;
  readonly #frames = new FrameReader();
  readonly #headerReader = new HeaderReader();
  readonly #headerWriter = new HeaderWriter();
  readonly #streams = new Map<number, SpdyStream>();
  readonly #windows = new Windows((frame) => this.#write(frame));
  readonly #closed = new AbortController();
  #lastStreamId = 0;
  #queued = 0;
  #wakeReadLoop: (() => void) | undefined;
  #wakeWriters: (() => void)[] = [];
  #goingAway = false;
  /** The duplex is closed; what came before may still be on its way to the streams, which are told of the end behind it. */
  #hungUp = false;

  constructor(options: SpdyConnectionOptions) {
    this.#options = options;
    this.#duplex = options.duplex;
    this.#duplex.on('drain', () => this.#wakeAllWriters());
    this.#duplex.on('error', () => {});
    this.#duplex.once('close', () => {
      this.#hungUp = true;
      this.#wakeReadLoop?.();
    });
    void this.#serve();
    void this.#keepAlive();
  }

  get #firstPing(): number {
    return this.#options.onStream ? 2 : 1;
  }

  /** Aborts when the connection has ended, whoever ended it. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  /**
   * Says that no more comes, and waits for the client to hang up; what it still sends meanwhile is read and thrown away, for
   * closing a socket with unread bytes would destroy what the client has not read yet.
   */
  async close(): Promise<void> {
    if (this.#closed.signal.aborted) return;
    for (const stream of this.#streams.values()) stream.discard();
    this.#sendGoAway(goAwayCodes.ok);
    this.#duplex.end();
    await this.#options.clock.sleep(lingerMs, this.#closed.signal).catch(() => {});
    this.#duplex.destroy();
  }

  destroy(): void {
    this.#duplex.destroy();
  }

  /** At the client's end. The stream breaks when the server refuses it. */
  open(headers: [string, string][]): SpdyStream {
    const id = this.#lastStreamId === 0 ? 1 : this.#lastStreamId + 2;
    this.#lastStreamId = id;
    const stream = new SpdyStream(this, id, new Map(headers));
    if (this.#closed.signal.aborted) stream.fail(new SampanError('ServiceUnavailable', 'the connection has ended'));
    else this.#streams.set(id, stream);
    this.#write(synStreamFrame(id, this.#headerWriter.write(headers)));
    return stream;
  }

  async #serve(): Promise<void> {
    try {
      if (this.#options.head?.length) await this.#receive(this.#options.head);
      for await (const chunk of this.#duplex) await this.#receive(chunk as Buffer);
    } catch (error) {
      if (!this.#hungUp) {
        this.#options.log.debug({ error: messageOf(error) }, 'SPDY connection failed');
        this.#sendGoAway(goAwayCodes.protocolError);
      }
    }
    this.#duplex.destroy();
    this.#onClosed();
  }

  async #receive(chunk: Buffer): Promise<void> {
    for (const part of this.#frames.read(chunk)) {
      if (part.kind === 'data') this.#onData(part);
      else await this.#onControl(part);
    }
    while (this.#isFull() && !this.#hungUp) {
      await new Promise<void>((resolve) => {
        this.#wakeReadLoop = resolve;
      });
    }
  }

  #isFull(): boolean {
    if (this.#queued > maxQueued) return true;
    return this.#queued > maxQueuedPerStream && this.#streams.values().some((one) => one.queued > maxQueuedPerStream);
  }

  #onData({ streamId, bytes, fin }: Extract<FramePart, { kind: 'data' }>): void {
    const stream = this.#streams.get(streamId);
    this.#queued += bytes.length;
    if (stream) stream.receive(bytes, fin);
    else {
      this.#consumed(undefined, bytes.length);
      // Data of a stream that we closed may still be on its way; of one that never was, it is an error.
      if (streamId > this.#lastStreamId) this.#write(resetFrame(streamId, resetCodes.invalidStream));
    }
  }

  async #onControl({ type, flags, payload }: Extract<FramePart, { kind: 'control' }>): Promise<void> {
    const word = (index: number) => {
      if (payload.length < 4 * index + 4) throw invalid(`a frame of type ${type} that is too short`);
      return payload.readUInt32BE(4 * index);
    };
    switch (type) {
      case frameTypes.synStream:
        return this.#onSynStream(word(0) & 0x7fffffff, flags, payload);
      case frameTypes.synReply:
      case frameTypes.headers:
        // Nobody acts on a reply's or late headers, but they belong to the one compressed stream of headers.
        return void (await this.#headerReader.read(payload.subarray(4)));
      case frameTypes.rstStream:
        return this.#onReset(word(0) & 0x7fffffff);
      case frameTypes.settings:
        return this.#onSettings(word(0), word);
      case frameTypes.ping:
        // Odd ids are the client's own; what is of our own kind answers ours.
        if (word(0) % 2 !== this.#firstPing % 2) this.#write(pingFrame(word(0)));
        return;
      case frameTypes.windowUpdate:
        this.#windows.onUpdate(word(0) & 0x7fffffff, word(1) & 0x7fffffff);
        return this.#wakeAllWriters();
      default:
        // GOAWAY: it opens no more streams, and those that are open go on. Others: the protocol says to ignore them.
        return;
    }
  }

  async #onSynStream(id: number, flags: number, payload: Buffer): Promise<void> {
    const headers = await this.#headerReader.read(payload.subarray(10));
    const { onStream } = this.#options;
    if (!onStream) return void this.#write(resetFrame(id, resetCodes.refusedStream));
    if (id % 2 !== 1 || id <= this.#lastStreamId) throw invalid(`stream id ${id} after ${this.#lastStreamId}`);
    this.#lastStreamId = id;
    const refused = () => this.#write(resetFrame(id, resetCodes.refusedStream));
    if (this.#goingAway || this.#streams.size >= maxStreams) return refused();
    const stream = new SpdyStream(this, id, headers);
    try {
      this.#streams.set(id, stream);
      onStream(stream);
    } catch (error) {
      this.#options.log.debug({ error: messageOf(error) }, 'SPDY stream refused');
      this.#streams.delete(id);
      return refused();
    }
    this.#write(synReplyFrame(id, this.#headerWriter.write([])));
    if (flags & frameFlags.fin) stream.receive(new Uint8Array(0), true);
  }

  #onReset(id: number): void {
    this.#streams.get(id)?.fail(new SampanError('ServiceUnavailable', `the client reset stream ${id}`));
  }

  #onSettings(count: number, word: (index: number) => number): void {
    const initialWindow = 7;
    for (let index = 0; index < Math.min(count, 64); index++) {
      if ((word(1 + 2 * index) & 0xffffff) === initialWindow) this.#windows.onInitial(word(2 + 2 * index) & 0x7fffffff);
    }
    this.#wakeAllWriters();
  }

  async sendData(stream: SpdyStream, data: Uint8Array, fin: boolean): Promise<void> {
    let rest = data;
    do {
      while (this.#duplex.writableNeedDrain || (rest.length > 0 && this.#windows.room(stream.id) === 0)) {
        await this.#untilWritable(stream);
      }
      this.#checkOpen(stream);
      const piece = rest.subarray(0, Math.min(maxDataFrame, this.#windows.room(stream.id)));
      rest = rest.subarray(piece.length);
      this.#windows.sent(stream.id, piece.length);
      this.#write(dataFrame(stream.id, piece, fin && rest.length === 0));
    } while (rest.length > 0);
  }

  #checkOpen(stream: SpdyStream): void {
    if (this.#closed.signal.aborted || this.#duplex.destroyed || this.#streams.get(stream.id) !== stream) {
      throw new SampanError('ServiceUnavailable', `stream ${stream.id} is closed`);
    }
  }

  async #untilWritable(stream: SpdyStream): Promise<void> {
    this.#checkOpen(stream);
    await new Promise<void>((resolve) => this.#wakeWriters.push(resolve));
    this.#checkOpen(stream);
  }

  #wakeAllWriters(): void {
    for (const wake of this.#wakeWriters.splice(0)) wake();
  }

  sendReset(stream: SpdyStream, code: ResetCode): void {
    this.#write(resetFrame(stream.id, code));
  }

  consumed(stream: SpdyStream, bytes: number): void {
    this.#consumed(this.#streams.has(stream.id) ? stream.id : undefined, bytes);
  }

  #consumed(streamId: number | undefined, bytes: number): void {
    this.#windows.consumed(streamId, bytes);
    this.#queued -= bytes;
    this.#wakeReadLoop?.();
  }

  ended(stream: SpdyStream): void {
    this.#streams.delete(stream.id);
    this.#windows.forget(stream.id);
    this.#wakeAllWriters();
  }

  #sendGoAway(code: number): void {
    if (this.#goingAway) return;
    this.#goingAway = true;
    this.#write(goAwayFrame(this.#lastStreamId, code));
  }

  #write(frame: Buffer): void {
    if (!this.#duplex.destroyed && this.#duplex.writable) this.#duplex.write(frame);
  }

  /** While nothing is read, only a write can find out that the client is gone. */
  async #keepAlive(): Promise<void> {
    for (let id = this.#firstPing; ; id = id >= 0x7ffffffd ? this.#firstPing : id + 2) {
      await this.#options.clock.sleep(pingPeriodMs, this.#closed.signal).catch(() => {});
      if (this.#closed.signal.aborted) return;
      if (!this.#duplex.writableNeedDrain) this.#write(pingFrame(id));
    }
  }

  #onClosed(): void {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort();
    this.#headerReader.close();
    const gone = new SampanError('ServiceUnavailable', `the ${this.#options.onStream ? 'client' : 'server'} is gone`);
    for (const stream of [...this.#streams.values()]) stream.fail(gone);
    this.#wakeAllWriters();
  }
}
