/** Removes what an ended Pod leaves: from the runtime, from disk, and at last its object. Each step may be done again after a crash. */
import { rm } from 'node:fs/promises';
import { resources } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import type { ContainerRecord, SandboxRecord } from '../decide/model.ts';
import { pathsOf } from '../paths.ts';
import type { PodState } from '../pod-state.ts';
import type { NodeContext } from './context.ts';

/** The Pod ended but its object stays: what it needed to run goes, its logs and last words stay. */
export async function cleanUp(context: NodeContext, state: PodState): Promise<void> {
  await context.volumes.remove(pathsOf(context.home, state.pod).directory, state.uid);
  state.volumes = undefined;
  state.volumesInUse = false;
  state.volumesRefreshAtMs = undefined;
  state.cleanedUp = true;
}

export async function finish(
  context: NodeContext,
  state: PodState,
  { containers, sandboxes }: { containers: ContainerRecord[]; sandboxes: SandboxRecord[] },
): Promise<void> {
  const { runtime } = context;
  for (const { id } of containers) if (id !== '') await runtime.removeContainer({ containerId: id });
  for (const { id } of sandboxes) {
    await runtime.stopPodSandbox({ podSandboxId: id });
    await runtime.removePodSandbox({ podSandboxId: id });
  }
  const paths = pathsOf(context.home, state.pod);
  await context.volumes.remove(paths.directory, state.uid);
  await rm(paths.directory, { recursive: true, force: true });
  await rm(paths.logDirectory, { recursive: true, force: true });
  if (!state.gone) await removeObject(context, state);
  state.finished = true;
}

async function removeObject({ client }: NodeContext, state: PodState): Promise<void> {
  const { name = '', namespace, uid } = state.object.metadata ?? {};
  try {
    await client.delete(resources.pods, name, { namespace, gracePeriodSeconds: 0, preconditions: { uid } });
  } catch (error) {
    // NotFound: it is gone already. Conflict: another Pod has its name by now.
    if (!isReason(error, 'NotFound', 'Conflict')) throw error;
  }
}
