/**
 * The files of an image archive by name, as places to read from: in the archive itself when it is a plain tar, else in an unpacked copy.
 * Names of the archive never become names on disk.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { isReason, messageOf, SampanError } from '@sampan/api/errors.ts';
import { type Compression, decompress, detectCompression, isBrokenData } from './decompress.ts';
import type { FetchTarget } from './image-source.ts';
import type { TarEntry } from './tar-header.ts';
import { TarParser, type TarSink } from './tar-parser.ts';
import { writeFully } from './write-fully.ts';

interface Place {
  path: string;
  offset: number;
  size: number;
}

const maxFiles = 20_000;
const maxLinks = 8;

export class ArchiveFiles implements TarSink {
  readonly #places = new Map<string, Place>();
  readonly #links = new Map<string, string>();
  #path = '';
  #parser = new TarParser(this);

  /** Throws Invalid when it is no tar (plain, gzip or zstd), NotFound when there is no such file. */
  static async open(archivePath: string, workDirectory: string): Promise<ArchiveFiles> {
    const files = new ArchiveFiles();
    const compression = detectCompression(await readHead(archivePath));
    files.#path = archivePath;
    try {
      if (compression !== 'none') {
        files.#path = join(workDirectory, 'archive.tar');
        const out = await open(files.#path, 'wx', 0o600);
        await pipeline(decompress(createReadStream(archivePath), compression), out.createWriteStream());
      }
      for await (const chunk of createReadStream(files.#path, { highWaterMark: 1 << 20 }))
        await files.#parser.write(chunk as Buffer);
      files.#parser.end();
    } catch (error) {
      throw asArchiveError(error, archivePath);
    }
    return files;
  }

  entry(entry: TarEntry): void {
    const name = normalise(entry.name);
    if (this.#places.size + this.#links.size >= maxFiles)
      throw new SampanError('Invalid', `it holds more than ${maxFiles} files`);
    if (entry.kind === 'file')
      this.#places.set(name, { path: this.#path, offset: this.#parser.position, size: entry.size });
    else if (entry.kind === 'hardlink') this.#links.set(name, normalise(entry.linkName));
    // Docker saved layers that images share as symlinks to the first one.
    else if (entry.kind === 'symlink')
      this.#links.set(name, normalise(posix.join(posix.dirname(name), entry.linkName)));
  }

  data(): void {}

  endOfData(): void {}

  #place(name: string): Place | undefined {
    let current = normalise(name);
    for (let hops = 0; hops < maxLinks; hops++) {
      const target = this.#links.get(current);
      if (target === undefined) break;
      current = target;
    }
    return this.#places.get(current);
  }

  has(name: string): boolean {
    return this.#place(name) !== undefined;
  }

  sizeOf(name: string): number | undefined {
    return this.#place(name)?.size;
  }

  /** A whole small file. Throws Invalid when it is missing or longer than `limit`. */
  async read(name: string, limit: number): Promise<Buffer> {
    const place = this.#placeOf(name);
    if (place.size > limit)
      throw new SampanError('Invalid', `${name} in the archive has ${place.size} bytes, at most ${limit} are read`);
    const chunks: Buffer[] = [];
    for await (const chunk of this.#stream(place)) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  }

  /** Copies a file to a new one, and returns its digest. */
  async copy(name: string, { path, onBytes, signal }: FetchTarget): Promise<string> {
    const hash = createHash('sha256');
    const out = await open(path, 'wx', 0o600);
    try {
      let done = 0;
      for await (const chunk of this.#stream(this.#placeOf(name))) {
        signal.throwIfAborted();
        hash.update(chunk as Buffer);
        await writeFully(out, chunk as Buffer, done);
        done += (chunk as Buffer).length;
        onBytes((chunk as Buffer).length);
      }
    } finally {
      await out.close();
    }
    return `sha256:${hash.digest('hex')}`;
  }

  async digest(name: string): Promise<string> {
    const hash = createHash('sha256');
    for await (const chunk of this.#stream(this.#placeOf(name))) hash.update(chunk as Buffer);
    return `sha256:${hash.digest('hex')}`;
  }

  async compression(name: string): Promise<Compression> {
    const place = this.#placeOf(name);
    return detectCompression(await readHead(place.path, place.offset));
  }

  #placeOf(name: string): Place {
    const place = this.#place(name);
    if (!place) throw new SampanError('Invalid', `${JSON.stringify(name.slice(0, 200))} is missing in the archive`);
    return place;
  }

  #stream({ path, offset, size }: Place) {
    if (size === 0) return [];
    return createReadStream(path, { start: offset, end: offset + size - 1, highWaterMark: 256 << 10 });
  }
}

const normalise = (name: string): string => posix.normalize(`/${name}`).slice(1);

async function readHead(path: string, offset = 0): Promise<Buffer> {
  const head = Buffer.alloc(4);
  try {
    const file = await open(path, 'r');
    try {
      const { bytesRead } = await file.read(head, 0, 4, offset);
      return head.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw asArchiveError(error, path);
  }
}

function asArchiveError(error: unknown, path: string): unknown {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (code === 'ENOENT')
    return new SampanError('NotFound', `archive ${path} does not exist`, {}, { cause: error as Error });
  if (code === 'EISDIR')
    return new SampanError(
      'Invalid',
      `archive ${path} is a directory; wanted a tar file`,
      {},
      { cause: error as Error },
    );
  if (!isReason(error) && !isBrokenData(error)) return error;
  return new SampanError(
    isReason(error) ? error.reason : 'Invalid',
    `archive ${path}: ${messageOf(error)}`,
    {},
    { cause: error as Error },
  );
}
