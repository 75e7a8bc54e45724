/** Makes room on the store's disk: kept layers first, then images, as garbage.ts decides. */
import { statfs } from 'node:fs/promises';
import { isReason } from '@sampan/api/errors.ts';
import { type DiskState, decideGarbage, type GarbageThresholds } from '../garbage.ts';
import type { BlobCache } from './blob-cache.ts';
import type { BlockImages } from './block-images.ts';
import type { ImageIndex } from './image-index.ts';
import type { Pins } from './pins.ts';

export interface CollectOptions {
  directory: string;
  index: ImageIndex;
  pins: Pins;
  cache: BlobCache;
  blocks: BlockImages;
  remove: (id: string) => Promise<void>;
}

/** Returns the ids of the images removed. */
export async function collectGarbage(options: CollectOptions, thresholds: GarbageThresholds): Promise<string[]> {
  const { directory, index, pins, cache, blocks } = options;
  const disk = await diskState(directory);
  if (disk.usedBytes * 100 < disk.capacityBytes * thresholds.highPercent) return [];
  await cache.trim(0);
  const candidates = await Promise.all(
    index.all().map(async ({ id, contentId, lastUsedMs }) => ({
      id,
      freesBytes: (await blocks.sizeOf(contentId)) ?? 0,
      lastUsedMs,
      pinned: pins.usersOf(id).length > 0,
    })),
  );
  // The high mark was passed; what counts from here on is the low one.
  const doomed = decideGarbage(candidates, await diskState(directory), {
    ...thresholds,
    highPercent: thresholds.lowPercent,
  });
  const removed: string[] = [];
  for (const id of doomed) {
    try {
      await options.remove(id);
      removed.push(id);
    } catch (error) {
      // Pinned since the decision.
      if (!isReason(error, 'FailedPrecondition')) throw error;
    }
  }
  return removed;
}

async function diskState(directory: string): Promise<DiskState> {
  const { blocks, bavail, bsize } = await statfs(directory);
  return { capacityBytes: blocks * bsize, usedBytes: (blocks - bavail) * bsize };
}
