/**
 * A piece of an answer of unknown length that goes to many connections: framed once for all (RFC 9112, 7.1) and handed to each socket as it is.
 * Node's own way frames it for each anew and in three writes: a tenth of what a watcher costs.
 */
import type { ServerResponse } from 'node:http';

export class Chunk {
  readonly bytes: Buffer;
  #framed: Buffer | undefined;

  /** Not empty: an empty one would be the end. */
  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  /** In order with `response.write`. The head must have been flushed; `response.end()` closes the body. */
  writeTo(response: ServerResponse): void {
    const { socket } = response;
    // No socket: an earlier answer is still being sent on it. Not chunked: the client is older than chunks.
    if (!socket || !(response as ServerResponse & { chunkedEncoding: boolean }).chunkedEncoding) {
      response.write(this.bytes);
      return;
    }
    if (!socket.writable) return;
    this.#framed ??= Buffer.concat([Buffer.from(`${this.bytes.length.toString(16)}\r\n`), this.bytes, frameEnd]);
    socket.write(this.#framed);
  }
}

const frameEnd = Buffer.from('\r\n');
