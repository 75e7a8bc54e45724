/**
 * Scratch disks: the writable disk of each Pod, a sparse file with an empty ext4.
 *
 * An empty ext4 of any size has about fifteen blocks that are not zero. They are made once a size by mkfs.ext4 and kept in memory; a new disk
 * is a truncate and a few writes (well below a millisecond, where mkfs takes five and copying a sparse file far longer).
 * Owns the files in home/scratch; the file of a sandbox is the durable witness that it held things (recover.ts).
 */
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../../base/child.ts';
import { randomHex } from '../../../base/ids.ts';
import { type DataBlock, readDataBlocks } from './sparse-file.ts';

const mib = 1024 * 1024;
export const defaultScratchBytes = 10 * 1024 * mib;
const keptSizes = 16;

export class ScratchDisks {
  readonly #directory: string;
  readonly #templates = new Map<number, Promise<DataBlock[]>>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  path = (sandboxId: string): string => join(this.#directory, `${sandboxId}.ext4`);

  /** The file size that leaves `bytes` for files: inode tables and bitmaps take about a fiftieth. Whole MiB. */
  static fileBytes(bytes: number): number {
    return Math.ceil((bytes * 1.02) / mib + 8) * mib;
  }

  /** Idempotent: a disk that is there is left alone. Throws ResourceExhausted-like errors of the filesystem as they come. */
  async create(sandboxId: string, bytes: number): Promise<string> {
    const size = ScratchDisks.fileBytes(bytes);
    const blocks = await this.#template(size);
    const path = this.path(sandboxId);
    const temporary = `${path}.${randomHex(4)}.tmp`;
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.truncate(size);
      await Promise.all(blocks.map((block) => file.write(block.data, 0, block.data.length, block.offset)));
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    return path;
  }

  async remove(sandboxId: string): Promise<void> {
    await rm(this.path(sandboxId), { force: true });
  }

  /** Sandbox ids that have a disk; half-written files are removed on the way. */
  async list(): Promise<string[]> {
    const names = await readdir(this.#directory).catch(() => [] as string[]);
    await Promise.all(
      names.filter((name) => name.endsWith('.tmp')).map((name) => rm(join(this.#directory, name), { force: true })),
    );
    return names.filter((name) => name.endsWith('.ext4')).map((name) => name.slice(0, -5));
  }

  /** Makes the template of a size ready ahead of need. */
  async prepare(bytes = defaultScratchBytes): Promise<void> {
    await this.#template(ScratchDisks.fileBytes(bytes));
  }

  #template(size: number): Promise<DataBlock[]> {
    const known = this.#templates.get(size);
    if (known) return known;
    const made = formatBlocks(this.#directory, size);
    this.#templates.set(size, made);
    made.catch(() => this.#templates.delete(size));
    for (const old of this.#templates.keys()) {
      if (this.#templates.size <= keptSizes) break;
      if (old !== size) this.#templates.delete(old);
    }
    return made;
  }
}

/** Formats a file once and reads back what is not zero in it. */
async function formatBlocks(directory: string, size: number): Promise<DataBlock[]> {
  await mkdir(directory, { recursive: true, mode: 0o711 });
  const path = join(directory, `format-${randomHex(4)}.tmp`);
  try {
    const file = await open(path, 'wx', 0o600);
    await file.truncate(size).finally(() => file.close());
    await format(path);
    return await readDataBlocks(path);
  } finally {
    await rm(path, { force: true });
  }
}

/** No journal (a scratch disk dies with its Pod), nothing kept for root, no zeroing: the file is zero already. */
async function format(path: string): Promise<void> {
  const env = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` };
  const features = ['-q', '-F', '-m', '0', '-b', '4096', '-i', '16384', '-O', '^has_journal,^resize_inode'];
  const zeroed = ['-E', 'assume_storage_prezeroed=1,nodiscard'];
  // mke2fs before 1.47 does not know prezeroed storage; its kernel then zeroes the inode tables lazily.
  const lazy = ['-E', 'lazy_itable_init=1,nodiscard'];
  const first = await run('mkfs.ext4', [...features, ...zeroed, path], { env, okCodes: [0, 1] });
  if (first.code !== 0) await run('mkfs.ext4', [...features, ...lazy, path], { env });
}
