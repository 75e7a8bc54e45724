/** Brings a Pod's volumes on disk, once until something about them changes. */
import { machineSize } from '@sampan/api/pod-size.ts';
import { VolumeError } from '../../volumes/pod-volumes.ts';
import type { PodFacts } from '../../volumes/sources.ts';
import { pathsOf } from '../paths.ts';
import type { PodState } from '../pod-state.ts';
import type { NodeContext } from './context.ts';

/** Joins what is under way. Throws VolumeError; the next call then tries again. */
export function prepareVolumes(context: NodeContext, state: PodState): Promise<void> {
  state.volumesInUse = true;
  state.volumes ??= sync(context, state).catch((error) => {
    state.volumes = undefined;
    throw error;
  });
  return state.volumes;
}

/**
 * Brings them up to date again; what cannot be had now leaves what was there before. One at a time, and one that has not begun stands for
 * all that were asked for meanwhile: two side by side would end with whichever was slower, not newer.
 */
export function refreshVolumes(context: NodeContext, state: PodState): Promise<void> {
  state.volumesRefresh ??= refresh(context, state);
  return state.volumesRefresh;
}

async function refresh(context: NodeContext, state: PodState): Promise<void> {
  await state.volumes?.catch(() => {});
  // Who asks from here on has seen something newer than what is read now.
  state.volumesRefresh = undefined;
  state.volumes = undefined;
  await prepareVolumes(context, state);
}

async function sync(context: NodeContext, state: PodState): Promise<void> {
  try {
    const { directory } = pathsOf(context.home, state.pod);
    const { refreshAtMs } = await context.volumes.sync(directory, podFacts(context, state, []));
    state.volumesRefreshAtMs = refreshAtMs;
  } catch (error) {
    if (error instanceof VolumeError) context.events.pod(state.pod, 'Warning', 'FailedMount', error.message);
    throw error;
  }
}

export function podFacts(context: NodeContext, state: PodState, podIPs: string[]): PodFacts {
  const { cpuMillicores, memoryBytes, ephemeralStorageBytes } = machineSize(state.pod);
  return {
    pod: state.pod,
    nodeName: context.nodeName,
    hostIPs: context.hostIPs,
    podIPs,
    machine: {
      cpuMillicores,
      memoryBytes,
      ephemeralStorageBytes: ephemeralStorageBytes || context.capacity.ephemeralStorageBytes,
    },
  };
}
