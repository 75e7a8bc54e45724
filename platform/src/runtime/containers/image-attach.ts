/** Brings an image's disk into the machine, once a sandbox: pinned, attached on the host's side, bound in the guest. */
import { isReason, SampanError } from '@sampan/api/errors.ts';
import type { Image } from '../../images/images.ts';
import type { Agent } from '../agent/agent.ts';
import type { Context } from '../context.ts';
import { saveSandbox } from '../records/sandbox-record.ts';
import type { Sandbox } from '../sandbox/vm/sandbox.ts';
import { imageSlots } from '../sandbox/vm/sandbox-run.ts';

export interface AttachedImage {
  slot: string;
  /** The guest's half; shared by all who want this image. */
  bind: (agent: Agent) => Promise<void>;
}

const nothing = async () => {};

/** Throws ResourceExhausted when all slots hold other images. */
export async function attachImage(context: Context, sandbox: Sandbox, image: Image): Promise<AttachedImage> {
  const { record } = sandbox;
  const known = record.images[image.id];
  const attached = sandbox.disks.get(image.id);
  // In the machine from the start, or bound long ago.
  if (known && !attached && !sandbox.unsureImages.has(image.id)) return { slot: known, bind: nothing };
  const slot = known ?? freeSlot(sandbox);
  if (!attached) {
    record.images[image.id] = slot;
    const made = attach(context, sandbox, image, slot);
    sandbox.disks.set(image.id, made);
    made.catch(() => {
      sandbox.disks.delete(image.id);
      delete record.images[image.id];
    });
  }
  await sandbox.disks.get(image.id);
  // bindDisk is idempotent: who comes second asks again rather than wait for the first one's answer.
  return { slot, bind: (agent) => agent.bindDisk(slot) };
}

async function attach(context: Context, sandbox: Sandbox, image: Image, slot: string): Promise<void> {
  await context.step('image-record');
  // The record first: a slot that was used and forgotten could never be used again.
  await Promise.all([saveSandbox(context.paths, sandbox.record), context.options.images.pin(image.id, sandbox.id)]);
  await context.step('image-attach');
  try {
    await sandbox.machine!.attachDisk({ slot, path: image.blockImagePath, readOnly: true });
  } catch (error) {
    // Its slot is taken: the process before us came as far as this.
    if (!sandbox.unsureImages.has(image.id) || !isReason(error, 'FailedPrecondition')) throw error;
  }
  sandbox.unsureImages.delete(image.id);
}

function freeSlot(sandbox: Sandbox): string {
  const taken = new Set(Object.values(sandbox.record.images));
  const free = Array.from({ length: imageSlots }, (_, index) => `image${index}`).find((slot) => !taken.has(slot));
  if (free) return free;
  throw new SampanError(
    'ResourceExhausted',
    `Pod ${sandbox.podName} uses more than ${imageSlots} different images; a machine takes ${imageSlots}`,
  );
}
