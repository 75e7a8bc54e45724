/**
 * The EROFS files, named by the digest of their layers: made in the work directory, published by a rename, shared by images of the same layers,
 * removed when no image and no pull needs them.
 */
import { createHash } from 'node:crypto';
import { chmod, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory } from '../../base/files.ts';
import { randomHex } from '../../base/ids.ts';
import { type ConvertLimits, convertLayers, type LayerFile } from './convert-layers.ts';

/** Changes with what the writer makes of the same layers. */
const formatVersion = 'sampan-erofs-1';

export function contentIdOf(diffIds: string[]): string {
  return createHash('sha256')
    .update([formatVersion, ...diffIds].join('\n'))
    .digest('hex');
}

export class BlockImages {
  readonly #directory: string;
  readonly #workDirectory: string;
  readonly #limits: ConvertLimits | undefined;
  readonly #leases = new Map<string, number>();

  constructor(options: { directory: string; workDirectory: string; limits?: ConvertLimits | undefined }) {
    this.#directory = options.directory;
    this.#workDirectory = options.workDirectory;
    this.#limits = options.limits;
  }

  pathOf(contentId: string): string {
    return join(this.#directory, `${contentId}.erofs`);
  }

  /** Bytes on disk, or undefined when there is no such file. */
  async sizeOf(contentId: string): Promise<number | undefined> {
    const found = await stat(this.pathOf(contentId)).catch(() => undefined);
    return found && found.blocks * 512;
  }

  /** Keeps a block image from removal while a pull relies on it. */
  lease(contentId: string): Disposable {
    this.#leases.set(contentId, (this.#leases.get(contentId) ?? 0) + 1);
    return {
      [Symbol.dispose]: () => {
        const left = (this.#leases.get(contentId) ?? 1) - 1;
        if (left > 0) this.#leases.set(contentId, left);
        else this.#leases.delete(contentId);
      },
    };
  }

  async make(contentId: string, layers: AsyncIterable<LayerFile>, signal: AbortSignal): Promise<void> {
    const out = join(this.#workDirectory, `block-${randomHex(6)}`);
    try {
      const uuid = Buffer.from(contentId.slice(0, 32), 'hex');
      await convertLayers({ layers, out, uuid, signal, ...(this.#limits ? { limits: this.#limits } : {}) });
      await chmod(out, 0o444);
      await rename(out, this.pathOf(contentId));
    } catch (error) {
      await rm(out, { force: true });
      throw error;
    }
    await syncDirectory(this.#directory);
  }

  /** Removes a block image unless `isUsed` or leased. */
  async removeUnless(contentId: string, isUsed: boolean): Promise<void> {
    if (isUsed || this.#leases.has(contentId)) return;
    await rm(this.pathOf(contentId), { force: true });
  }

  async contentIds(): Promise<string[]> {
    return (await readdir(this.#directory)).map((name) => name.replace(/\.erofs$/, ''));
  }
}
