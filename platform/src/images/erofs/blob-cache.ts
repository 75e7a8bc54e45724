/**
 * Compressed layers on disk, named by digest: a pull puts them here, the conversion reads them, and as many as the bound allows stay, so that the
 * next image on the same base (or a pull that was interrupted) need not fetch them again. Everything here can be lost without harm.
 */
import { readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';

export class BlobCache {
  readonly #directory: string;
  readonly #maxBytes: number;
  readonly #leases = new Map<string, number>();

  constructor(directory: string, maxBytes: number) {
    this.#directory = directory;
    this.#maxBytes = maxBytes;
  }

  pathOf(digest: string): string {
    return join(this.#directory, digest.slice('sha256:'.length));
  }

  async has(digest: string, size: number): Promise<boolean> {
    const found = await stat(this.pathOf(digest)).catch(() => undefined);
    if (found?.size === size) return true;
    if (found) await rm(this.pathOf(digest), { force: true });
    return false;
  }

  /** Takes over a verified file of the same file system. */
  async adopt(path: string, digest: string): Promise<void> {
    await rename(path, this.pathOf(digest));
  }

  async drop(digest: string): Promise<void> {
    await rm(this.pathOf(digest), { force: true });
  }

  /** Keeps blobs while they are read. */
  lease(digests: string[], now: number): Disposable {
    for (const digest of digests) this.#leases.set(digest, (this.#leases.get(digest) ?? 0) + 1);
    return {
      [Symbol.dispose]: () => {
        for (const digest of digests) {
          const left = (this.#leases.get(digest) ?? 1) - 1;
          if (left > 0) this.#leases.set(digest, left);
          else this.#leases.delete(digest);
          utimes(this.pathOf(digest), now / 1000, now / 1000).catch(() => {});
        }
      },
    };
  }

  /** Removes the longest unused until no more than `maxBytes` (default: the bound) are left; leased ones stay. Returns the bytes freed. */
  async trim(maxBytes = this.#maxBytes): Promise<number> {
    const files = await this.#files();
    let total = files.reduce((sum, { bytes }) => sum + bytes, 0);
    const before = total;
    for (const file of files.sort((a, b) => a.usedMs - b.usedMs)) {
      if (total <= maxBytes) break;
      if (this.#leases.has(file.digest)) continue;
      await this.drop(file.digest);
      total -= file.bytes;
    }
    return before - total;
  }

  async usedBytes(): Promise<number> {
    return (await this.#files()).reduce((sum, { bytes }) => sum + bytes, 0);
  }

  async #files(): Promise<{ digest: string; bytes: number; usedMs: number }[]> {
    const files = [];
    for (const name of await readdir(this.#directory)) {
      const found = await stat(join(this.#directory, name)).catch(() => undefined);
      if (found) files.push({ digest: `sha256:${name}`, bytes: found.blocks * 512, usedMs: found.mtimeMs });
    }
    return files;
  }
}
