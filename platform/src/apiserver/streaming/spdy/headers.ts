/**
 * Header blocks of SPDY/3 (2.6.10): names and values with 32-bit lengths, in one zlib stream per direction that lasts as long as the
 * connection. Ours is made of stored blocks: what we send is nearly always the empty block.
 */
import { createInflate, type Inflate } from 'node:zlib';
import { headerDictionary } from './dictionary.ts';
import { invalid } from './frames.ts';

/** Lower-case names; several values of one name are joined by NUL, as on the wire. */
export type Headers = ReadonlyMap<string, string>;

const maxInflatedBytes = 64 << 10;
const maxHeaders = 64;

export class HeaderReader {
  readonly #inflate: Inflate = createInflate({ dictionary: headerDictionary });
  #output: Buffer[] = [];
  #size = 0;
  #failure: Error | undefined;

  constructor() {
    this.#inflate.on('data', (chunk: Buffer) => {
      this.#size += chunk.length;
      if (this.#size > maxInflatedBytes) this.#inflate.destroy(invalid('headers that inflate without end'));
      else this.#output.push(chunk);
    });
    this.#inflate.on('error', (error) => {
      this.#failure ??= error;
    });
  }

  /** One block, which its sender flushed. To be awaited before the next. Throws BadRequest. */
  async read(block: Buffer): Promise<Headers> {
    this.#output = [];
    this.#size = 0;
    await new Promise<void>((resolve) => {
      this.#inflate.once('close', resolve);
      this.#inflate.write(block, () => {
        this.#inflate.off('close', resolve);
        resolve();
      });
    });
    if (this.#failure) throw invalid(`headers that cannot be read (${this.#failure.message})`);
    return parseHeaders(Buffer.concat(this.#output));
  }

  close(): void {
    this.#inflate.destroy();
  }
}

export function parseHeaders(block: Buffer): Headers {
  let at = 0;
  const number = () => {
    if (at + 4 > block.length) throw invalid('headers that end too early');
    at += 4;
    return block.readUInt32BE(at - 4);
  };
  const text = () => {
    const length = number();
    if (length > block.length - at) throw invalid('a header longer than its block');
    at += length;
    return block.toString('utf8', at - length, at);
  };
  const count = number();
  if (count > maxHeaders) throw invalid(`${count} headers, more than ${maxHeaders}`);
  const headers = new Map<string, string>();
  for (let index = 0; index < count; index++) {
    const name = text().toLowerCase();
    headers.set(name, text());
  }
  return headers;
}

export function formatHeaders(headers: Iterable<[string, string]>): Buffer {
  const entries = [...headers];
  const parts = [word(entries.length)];
  for (const value of entries.flat()) parts.push(word(Buffer.byteLength(value)), Buffer.from(value));
  return Buffer.concat(parts);
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** RFC 1950: deflate with a 32 KiB window, preset dictionary; then the Adler-32 of SPDY/3's. */
const zlibStart = Buffer.from([0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2]);

export class HeaderWriter {
  #started = false;

  /** Blocks have to go out in the order in which they were made. At most 65,535 bytes. */
  write(headers: Iterable<[string, string]>): Buffer {
    const start = this.#started ? Buffer.alloc(0) : zlibStart;
    this.#started = true;
    // The empty block is zlib's flush: without it, Go's reader looks for a further block and takes the frame's end for the stream's.
    return Buffer.concat([start, storedBlock(formatHeaders(headers)), storedBlock(Buffer.alloc(0))]);
  }
}

/** RFC 1951, 3.2.4. */
function storedBlock(bytes: Buffer): Buffer {
  const header = Buffer.alloc(5);
  header.writeUInt16LE(bytes.length, 1);
  header.writeUInt16LE(~bytes.length & 0xffff, 3);
  return Buffer.concat([header, bytes]);
}
