/** Puts disks into the slots of a machine that QEMU runs already, and takes them out. */
import { SampanError } from '@sampan/api/errors.ts';
import { type DiskSlot, diskSlots } from '../slots.ts';
import type { DiskAttachment } from '../vmm.ts';
import { diskDescriptor } from './descriptors.ts';
import type { Launcher } from './launcher.ts';
import { emptyNode, fileNode, slotNode } from './qemu-arguments.ts';
import type { QmpClient } from './qmp.ts';

/** Opens the disk on the host and hands QEMU its descriptor. */
export async function sendDisk(launcher: Launcher, disk: DiskAttachment): Promise<void> {
  const set = { execute: 'add-fd', arguments: { 'fdset-id': diskDescriptor(disk.slot) } };
  const answer = await launcher.command('send', disk.readOnly ? 'r' : 'rw', disk.path, JSON.stringify(set));
  if (!answer.startsWith('{"return"'))
    throw new SampanError(
      'InternalError',
      `the VMM refused the descriptor of disk ${disk.slot}: ${answer.slice(0, 300)}`,
    );
}

/** Replaces the slot's empty backing by the disk whose descriptor QEMU has. The device reads its size when the guest binds it. */
export async function putDisk(qmp: QmpClient, disk: DiskAttachment): Promise<void> {
  const slot = slotOf(disk);
  const file = fileNode(slot, `file-${slot.name}`);
  // QEMU answers in order: both can be on their way at once.
  await Promise.all([
    qmp.call('blockdev-add', file),
    qmp.call('blockdev-reopen', { options: [slotNode(slot, file['node-name'])] }),
  ]);
}

/** Undoes putDisk, or what the command line put in. The guest must have let go of the disk. */
export async function takeDisk(qmp: QmpClient, disk: DiskAttachment): Promise<void> {
  const slot = slotOf(disk);
  const empty = emptyNode(slot);
  await qmp.call('blockdev-add', empty);
  await qmp.call('blockdev-reopen', { options: [slotNode(slot, empty['node-name'])] });
  await qmp.call('blockdev-del', { 'node-name': `file-${slot.name}` });
  await qmp.call('remove-fd', { 'fdset-id': diskDescriptor(slot.name) });
}

function slotOf(disk: DiskAttachment): DiskSlot {
  return diskSlots.find((candidate) => candidate.name === disk.slot)!;
}
