/** The disk slots of every machine: fixed in a template, known to the guest by the serial of the virtio disk. */
import { SampanError } from '@sampan/api/errors.ts';
import type { DiskAttachment } from './vmm.ts';

export interface DiskSlot {
  name: string;
  readOnly: boolean;
  /** Its content dies with the machine: the guest's flushes need not reach the host's disk. */
  ephemeral: boolean;
}

const slot = (name: string, readOnly: boolean, ephemeral = false): DiskSlot => ({ name, readOnly, ephemeral });

/**
 * 'root' is the driver's own (the miniOS); the rest is for DiskAttachment. Their order is the devices' order in the guest. Each costs every machine 150 KiB:
 * QEMU keeps places for 1,024 queues of each device.
 */
export const diskSlots: readonly DiskSlot[] = [
  slot('root', true),
  slot('scratch', false, true),
  ...Array.from({ length: 8 }, (_, index) => slot(`image${index}`, true)),
];

/** Throws Invalid for a slot that does not exist or is given twice, Unsupported for a disk that does not fit its slot. */
export function checkDisks(machine: string, disks: readonly DiskAttachment[]): void {
  const seen = new Set<string>();
  for (const disk of disks) {
    const found = diskSlots.find((candidate) => candidate.name === disk.slot && candidate.name !== 'root');
    if (!found) throw new SampanError('Invalid', `machine ${machine}: there is no disk slot "${disk.slot}"`);
    if (seen.has(disk.slot))
      throw new SampanError('Invalid', `machine ${machine}: disk slot ${disk.slot} is given twice`);
    if (found.readOnly !== disk.readOnly)
      throw new SampanError(
        'Unsupported',
        `machine ${machine}: slot ${disk.slot} is ${found.readOnly ? 'read-only' : 'writable'}, the disk asked for is ${disk.readOnly ? 'read-only' : 'writable'}`,
      );
    // Paths travel in QEMU option strings and tab-separated lines.
    if (!disk.path.startsWith('/') || /[\n\t\0]/.test(disk.path))
      throw new SampanError(
        'Invalid',
        `machine ${machine}: the path of disk ${disk.slot} must be absolute, without tab or newline`,
      );
    seen.add(disk.slot);
  }
}
