/** Makes room on the store's disk: kept layers first, then images, as garbage.ts decides. */
import { statfs } from 'node:fs/promises';
import { isReason } from '@sampan/api/errors.ts';
import { type DiskState, decideGarbage, excessBytes, type GarbageResult, type GarbageThresholds } from '../garbage.ts';
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
  nowMs: number;
}

export async function collectGarbage(options: CollectOptions, thresholds: GarbageThresholds): Promise<GarbageResult> {
  const { directory, index, pins, cache, blocks, nowMs } = options;
  const disk = await diskState(directory);
  const wantedBytes = excessBytes(disk, thresholds);
  if (wantedBytes === 0) return { removed: [], wantedBytes, freedBytes: 0, disk };
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
  const excess = excessBytes(await diskState(directory), { ...thresholds, highPercent: thresholds.lowPercent });
  const doomed = decideGarbage(candidates, excess, nowMs - (thresholds.minAgeMs ?? 0));
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
  const after = await diskState(directory);
  return { removed, wantedBytes, freedBytes: Math.max(0, disk.usedBytes - after.usedBytes), disk };
}

async function diskState(directory: string): Promise<DiskState> {
  const { blocks, bavail, bsize } = await statfs(directory);
  return { capacityBytes: blocks * bsize, usedBytes: (blocks - bavail) * bsize };
}
