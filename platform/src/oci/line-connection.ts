/** A socket that speaks in lines of JSON, at most 4 MiB each; a peer that sends more, or does not read, waits or is cut off. */
import type { Socket } from 'node:net';
import { SampanError } from '@sampan/api/errors.ts';

const maxLineBytes = 4 * 1024 * 1024;

export class LineConnection {
  /** Resolves once nothing more can come. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #lines: AsyncGenerator<string, void, void>;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => {});
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    this.#lines = linesOf(socket);
  }

  /** The next value; undefined at the end of the stream. Throws Invalid for what is no line of JSON. */
  async next(): Promise<unknown> {
    const line = await this.#lines.next();
    if (line.done) return undefined;
    try {
      return JSON.parse(line.value);
    } catch {
      throw new SampanError('Invalid', 'a request is not one line of JSON');
    }
  }

  async send(value: unknown): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#socket.write(`${JSON.stringify(value)}\n`, (error) => (error ? reject(error) : resolve()));
    });
  }

  end(): void {
    this.#socket.end();
    this.#socket.resume();
  }
}

async function* linesOf(socket: Socket): AsyncGenerator<string, void, void> {
  let pieces: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      let rest = chunk;
      for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
        yield Buffer.concat([...pieces, rest.subarray(0, end)]).toString('utf8');
        pieces = [];
        size = 0;
        rest = rest.subarray(end + 1);
      }
      if (rest.length > 0) pieces.push(rest);
      size += rest.length;
      if (size > maxLineBytes) throw new SampanError('Invalid', 'a request is over 4 MiB');
    }
  } catch (error) {
    if (error instanceof SampanError) throw error;
    // The peer went away in the middle of a line.
  }
}
