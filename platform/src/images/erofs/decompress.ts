/** Layers arrive as plain tar, gzip or zstd; what they are is told by their first bytes, as every other unpacker does, not by their label. */
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress, type ZstdDecompress } from 'node:zlib';

export type Compression = 'none' | 'gzip' | 'zstd';

/** `head`: the first four bytes or more (RFC 1952 2.3.1, RFC 8878 3.1). */
export function detectCompression(head: Uint8Array): Compression {
  if (head[0] === 0x1f && head[1] === 0x8b) return 'gzip';
  const word = head.length < 4 ? 0 : (head[0]! | (head[1]! << 8) | (head[2]! << 16) | (head[3]! << 24)) >>> 0;
  // A zstd stream may begin with a skippable frame.
  if (word === 0xfd2fb528 || (word & 0xfffffff0) >>> 0 === 0x184d2a50) return 'zstd';
  return 'none';
}

const chunkBytes = 256 << 10;

/** Throws what zlib throws on broken data; see `isBrokenData`. Ends the source when left early. */
export function decompress(source: Readable, compression: Compression): AsyncIterable<Buffer> {
  if (compression === 'gzip') return gunzip(source);
  if (compression === 'zstd') return zstdFrames(source);
  return source;
}

/** True when the bytes are at fault, not the disk. */
export function isBrokenData(error: unknown): boolean {
  return /^(Z|ZSTD)_/i.test((error as NodeJS.ErrnoException).code ?? '');
}

async function* gunzip(source: Readable): AsyncGenerator<Buffer> {
  const engine = createGunzip({ chunkSize: chunkBytes });
  const feeding = pipeline(source, engine);
  feeding.catch(() => {});
  try {
    yield* engine;
    await feeding;
  } finally {
    source.destroy();
  }
}

/** Node's decoder ends with the first frame, and layers may be of thousands (each file its own, so that it can be fetched alone). */
async function* zstdFrames(source: Readable): AsyncGenerator<Buffer> {
  const input = new PushBack(source);
  try {
    while (await input.hasMore()) {
      const engine = createZstdDecompress({ chunkSize: chunkBytes });
      const feeding = feedFrame(engine, input);
      feeding.catch((error) => engine.destroy(error));
      yield* engine;
      await feeding;
    }
  } finally {
    source.destroy();
  }
}

/** Feeds until the decoder has had enough, and puts back what it did not take. */
async function feedFrame(engine: ZstdDecompress, input: PushBack): Promise<void> {
  const closed = new Promise<void>((resolve) => engine.once('close', resolve));
  for (let chunk = await input.next(); chunk; chunk = await input.next()) {
    const before = engine.bytesWritten;
    const taking = chunk;
    const taken = new Promise<void>((resolve) => engine.write(taking, () => resolve()));
    await Promise.race([taken, closed]);
    const rest = chunk.subarray(engine.bytesWritten - before);
    if (rest.length > 0 || engine.destroyed) {
      input.putBack(rest);
      return;
    }
  }
  engine.end();
}

class PushBack {
  readonly #chunks: AsyncIterator<Buffer>;
  #held: Buffer | undefined;

  constructor(source: Readable) {
    this.#chunks = source[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  async next(): Promise<Buffer | undefined> {
    const held = this.#held;
    this.#held = undefined;
    if (held) return held;
    const { value, done } = await this.#chunks.next();
    return done ? undefined : value;
  }

  putBack(chunk: Buffer): void {
    if (chunk.length > 0) this.#held = chunk;
  }

  async hasMore(): Promise<boolean> {
    this.#held ??= await this.next();
    return this.#held !== undefined;
  }
}
