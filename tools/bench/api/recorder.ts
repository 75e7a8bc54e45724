/**
 * A connection that can put aside what comes, with the time it came, and read it later. A thousand watchers in one process take turns at
 * decrypting and reading, and who comes last would be charged with the work of all before him: in the field each has a machine of its own.
 */
import { connect, type Socket } from 'node:net';
import { Duplex } from 'node:stream';

interface Arrival {
  atMs: number;
  bytes: Buffer;
}

/** Connections take turns at it: whatever is read is copied before the next one reads. */
const shared = Buffer.alloc(64 * 1024);

/** Milliseconds since 1970, as exactly as the machine knows, the same in all its processes. */
export const nowMs = (): number => performance.timeOrigin + performance.now();

export class Recorder extends Duplex {
  readonly #socket: Socket;
  #arrivals: Arrival[] | undefined;
  #next = 0;
  /** When what is being read came. */
  atMs = 0;

  constructor(port: number, host: string) {
    super();
    const callback = (length: number) => {
      const arrival = { atMs: nowMs(), bytes: Buffer.from(shared.subarray(0, length)) };
      if (this.#arrivals) this.#arrivals.push(arrival);
      else this.#show(arrival);
      return true;
    };
    this.#socket = connect({ port, host, noDelay: true, onread: { buffer: shared, callback } });
    this.#socket.on('error', (error) => this.destroy(error));
    this.#socket.on('close', () => this.destroy());
  }

  /** From here on nothing is read. */
  putAside(): void {
    this.#arrivals = [];
  }

  /** How much was put aside and is yet to be read. */
  get aside(): number {
    return (this.#arrivals?.length ?? 0) - this.#next;
  }

  /** Reads the next thing that was put aside; false when there is none. */
  readNext(): boolean {
    const arrival = this.#arrivals?.[this.#next++];
    if (arrival) this.#show(arrival);
    return arrival !== undefined;
  }

  #show({ atMs, bytes }: Arrival): void {
    this.atMs = atMs;
    this.push(bytes);
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }
}
