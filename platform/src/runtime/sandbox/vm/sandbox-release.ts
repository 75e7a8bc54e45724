/** Gives back what a sandbox holds below its record. Idempotent: also for a sandbox of which only traces are left. */
import { rm } from 'node:fs/promises';
import type { Context } from '../../context.ts';

/** Whichever driver's it is: each leaves alone what is another's. */
export async function destroyMachine(context: Context, directory: string): Promise<void> {
  for (const vmm of Object.values(context.options.vmms)) await vmm.destroy(directory);
}

/** The machine first (it uses the rest), the scratch disk last: as long as it is there, recover() knows of the others. */
export async function releaseResources(context: Context, sandboxId: string): Promise<void> {
  const { network, images } = context.options;
  await context.step('release-machine');
  await destroyMachine(context, context.paths.machine(sandboxId));
  // Nothing is mounted in there: not on this side.
  await rm(context.paths.share(sandboxId), { recursive: true, force: true });
  await context.step('release-network');
  await Promise.all([network.detach(sandboxId), images.unpin(sandboxId)]);
  await context.step('release-scratch');
  await context.scratch.remove(sandboxId);
}
