/** The numbers under which QEMU finds its open descriptors: the launcher opens them, qemu-arguments.ts names them. */
import { diskSlots } from '../slots.ts';
import { maxShares } from '../vmm.ts';

export const descriptors = {
  /** Listening sockets. */
  monitor: 10,
  /** A second QMP monitor: the launcher's, for messages that carry descriptors. */
  passMonitor: 11,
  channel: 12,
  tap: 13,
  /** Guest memory of a template and its clones. */
  memory: 14,
  /** Device state of the template that a clone reads. */
  state: 15,
  kernel: 16,
  initrd: 17,
} as const;

/** Descriptor, and fd set, of a disk slot. */
export function diskDescriptor(slot: string): number {
  const index = diskSlots.findIndex((candidate) => candidate.name === slot);
  if (index < 0) throw new Error(`no disk slot ${slot}`);
  return 20 + index;
}

/** Connection to the server of the machine's n-th share. */
export function shareDescriptor(index: number): number {
  if (index >= maxShares) throw new Error(`no share ${index}`);
  return 20 + diskSlots.length + index;
}
