/** Which images go when the disk fills: the decision alone, after the kubelet's image garbage collection. */

export interface GarbageCandidate {
  id: string;
  /** What removing it gives back. */
  freesBytes: number;
  lastUsedMs: number;
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
}

/** Longest unused first, pinned ones never; empty below the high mark. */
export function decideGarbage(images: GarbageCandidate[], disk: DiskState, thresholds: GarbageThresholds): string[] {
  if (disk.usedBytes * 100 < disk.capacityBytes * thresholds.highPercent) return [];
  let excess = disk.usedBytes - (disk.capacityBytes * thresholds.lowPercent) / 100;
  const doomed: string[] = [];
  for (const image of images.filter(({ pinned }) => !pinned).sort((a, b) => a.lastUsedMs - b.lastUsedMs)) {
    if (excess <= 0) break;
    doomed.push(image.id);
    excess -= image.freesBytes;
  }
  return doomed;
}
