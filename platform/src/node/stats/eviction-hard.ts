/**
 * When a node is short of disk, in the words of kubelet's --eviction-hard: `nodefs.available<10%,imagefs.inodesFree<5%`. Reads the words and
 * judges by them; does not measure, and does not own what follows (disk-pressure.ts).
 */
import { SampanError } from '@sampan/api/errors.ts';
import { tryParseQuantity } from '@sampan/api/quantity.ts';

/** One disk, as a process without root's powers may use it. */
export interface DiskRoom {
  path: string;
  capacityBytes: number;
  availableBytes: number;
  /** 0 where the file system does not count them. */
  inodes: number;
  inodesFree: number;
}

export interface EvictionThreshold {
  /** The disk of the node's own state, or that of its images. */
  disk: 'nodefs' | 'imagefs';
  what: 'available' | 'inodesFree';
  /** Of the whole, 0 to 1; else `amount`, in bytes or inodes. */
  share?: number;
  amount?: number;
  /** As it was written. */
  wanted: string;
}

/** kubelet's are 10 and 15 %, for machines that do nothing else; ours may be somebody's own, whose disk is as full as such disks are. */
export const usualThresholds = 'nodefs.available<5%,nodefs.inodesFree<5%,imagefs.available<5%,imagefs.inodesFree<5%';
const off = 'none';

/** Throws Invalid naming the part that is no threshold, or of a signal that is not looked at. */
export function readThresholds(text = usualThresholds): EvictionThreshold[] {
  if (text.trim() === off) return [];
  const all = text.split(',').map((part) => {
    const [, disk, what, wanted = ''] = /^(nodefs|imagefs)\.(available|inodesFree)<([^<]+)$/.exec(part.trim()) ?? [];
    const size = sizeOf(wanted.trim());
    if (!disk || !what || !size)
      throw new SampanError(
        'Invalid',
        `SAMPAN_EVICTION_HARD: "${part}" is no threshold; wanted nodefs. or imagefs. with available or inodesFree, such as nodefs.available<10% or imagefs.available<2Gi, or ${off}`,
      );
    return {
      disk: disk as EvictionThreshold['disk'],
      what: what as EvictionThreshold['what'],
      wanted: wanted.trim(),
      ...size,
    };
  });
  // To a kubelet all of a disk is no threshold, and neither is nothing of it.
  return all.filter(({ share }) => share !== 1);
}

function sizeOf(text: string): Pick<EvictionThreshold, 'share' | 'amount'> | undefined {
  const percent = /^(\d{1,3}(?:\.\d{1,6})?)%$/.exec(text)?.[1];
  if (percent !== undefined) return Number(percent) <= 100 ? { share: Number(percent) / 100 } : undefined;
  const amount = tryParseQuantity(text)?.value();
  return amount !== undefined && amount >= 0 ? { amount } : undefined;
}

/** What is short, in words; undefined: nothing. */
export function shortageOfDisk(
  thresholds: readonly EvictionThreshold[],
  rooms: Record<EvictionThreshold['disk'], DiskRoom>,
): string | undefined {
  for (const { disk, what, share, amount = 0, wanted } of thresholds) {
    const room = rooms[disk];
    const [free, whole] =
      what === 'available' ? [room.availableBytes, room.capacityBytes] : [room.inodesFree, room.inodes];
    if (whole === 0 || free >= (share === undefined ? amount : share * whole)) continue;
    const percent = `${((free * 100) / whole).toFixed(1)}%`;
    const held = `the disk that holds ${room.path}`;
    const subject =
      what === 'available' ? `${percent} of ${held} is free` : `${percent} of the inodes of ${held} are free`;
    return `${subject}; at least ${wanted} is wanted (${disk}.${what})`;
  }
  return undefined;
}
