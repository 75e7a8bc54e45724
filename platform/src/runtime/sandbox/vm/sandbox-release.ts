/** Gives back what a sandbox holds below its record. Idempotent: also for a sandbox of which only traces are left. */
import { rm } from 'node:fs/promises';
import type { Context } from '../../context.ts';

/** The machine first (it uses the rest), the scratch disk last: as long as it is there, recover() knows of the others. */
export async function releaseResources(context: Context, sandboxId: string): Promise<void> {
  const { vmm, network, images } = context.options;
  await context.step('release-machine');
  await vmm.destroy(context.paths.machine(sandboxId));
  // Nothing is mounted in there: not on this side.
  await rm(context.paths.share(sandboxId), { recursive: true, force: true });
  await context.step('release-network');
  await Promise.all([network.detach(sandboxId), images.unpin(sandboxId)]);
  await context.step('release-scratch');
  await context.scratch.remove(sandboxId);
}
