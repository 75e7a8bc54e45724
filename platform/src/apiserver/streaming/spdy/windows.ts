/**
 * SPDY/3.1's flow control windows (2.6.8), for a client that uses them. Until a client has shown that it does, its windows are
 * unlimited and it is granted nothing; from then on what went before counts as well.
 */
import { windowUpdateFrame } from './frames.ts';

const defaultWindow = 64 << 10;
/** The connection's own window. */
const session = 0;

interface Counts {
  sent: number;
  granted: number;
  /** Bytes taken out of the queue since we last told the client. */
  consumed: number;
}

export class Windows {
  readonly #send: (frame: Buffer) => void;
  readonly #counts = new Map<number, Counts>();
  #initial = defaultWindow;
  #inUse = false;

  constructor(send: (frame: Buffer) => void) {
    this.#send = send;
  }

  onUpdate(streamId: number, delta: number): void {
    this.#inUse = true;
    // An update may come late for a stream that is gone: then nobody asks for its count again but forget().
    if (streamId === session || this.#counts.has(streamId)) this.#of(streamId).granted += delta;
  }

  onInitial(bytes: number): void {
    this.#inUse = true;
    this.#initial = bytes;
  }

  /** How many bytes may be sent now. */
  room(streamId: number): number {
    if (!this.#inUse) return Number.MAX_SAFE_INTEGER;
    const [stream, all] = [this.#of(streamId), this.#of(session)];
    return Math.max(0, Math.min(this.#initial + stream.granted - stream.sent, defaultWindow + all.granted - all.sent));
  }

  sent(streamId: number, bytes: number): void {
    for (const id of [streamId, session]) this.#of(id).sent += bytes;
  }

  /** `streamId` undefined: the stream is gone, only the connection's window gets the bytes back. */
  consumed(streamId: number | undefined, bytes: number): void {
    for (const id of streamId === undefined ? [session] : [streamId, session]) {
      const counts = this.#of(id);
      counts.consumed += bytes;
      if (!this.#inUse || counts.consumed < defaultWindow / 2) continue;
      this.#send(windowUpdateFrame(id, counts.consumed));
      counts.consumed = 0;
    }
  }

  forget(streamId: number): void {
    this.#counts.delete(streamId);
  }

  #of(id: number): Counts {
    let counts = this.#counts.get(id);
    if (!counts) {
      counts = { sent: 0, granted: 0, consumed: 0 };
      this.#counts.set(id, counts);
    }
    return counts;
  }
}
