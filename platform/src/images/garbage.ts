/** Which images go when the disk fills: the decision alone, after the kubelet's image garbage collection. */

export interface GarbageCandidate {
  id: string;
  /** What removing it gives back. */
  freesBytes: number;
  lastUsedMs: number;
  /** In use. */
  pinned: boolean;
}

export interface DiskState {
  usedBytes: number;
  capacityBytes: number;
}

export interface GarbageThresholds {
  /** Nothing is removed while less than this share of the disk is used. */
  highPercent: number;
  /** Once above, images go until no more than this share is used. */
  lowPercent: number;
  /** Images used within this time stay: one that was just pulled is about to be used (default 0). */
  minAgeMs?: number;
}

export interface GarbageResult {
  /** Ids of the images that are gone. */
  removed: string[];
  /** What had to be given back to come down to the low mark; 0 below the high one. */
  wantedBytes: number;
  /** What was. */
  freedBytes: number;
  /** The disk as it was found. */
  disk: DiskState;
}

/** How much has to go: nothing below the high mark, else all above the low one. */
export function excessBytes(disk: DiskState, { highPercent, lowPercent }: GarbageThresholds): number {
  if (disk.usedBytes * 100 < disk.capacityBytes * highPercent) return 0;
  return Math.max(0, Math.ceil(disk.usedBytes - (disk.capacityBytes * lowPercent) / 100));
}

/** Longest unused first, until `excess` bytes are found; pinned ones and those used since `usedBeforeMs` never. */
export function decideGarbage(images: GarbageCandidate[], excess: number, usedBeforeMs = Infinity): string[] {
  const doomed: string[] = [];
  const unused = images.filter(({ pinned, lastUsedMs }) => !pinned && lastUsedMs <= usedBeforeMs);
  let left = excess;
  for (const image of unused.sort((a, b) => a.lastUsedMs - b.lastUsedMs)) {
    if (left <= 0) break;
    doomed.push(image.id);
    left -= image.freesBytes;
  }
  return doomed;
}
