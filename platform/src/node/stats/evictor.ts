/** Looks now and then what Pods hold on disk, and marks for eviction those that hold too much. */
import { messageOf } from '@sampan/api/errors.ts';
import type * as cri from '../../runtime/generated/cri.ts';
import type { NodeContext } from '../act/context.ts';
import { isTerminalPhase } from '../decide/model.ts';
import { annotation, label } from '../labels.ts';
import type { PodState } from '../pod-state.ts';
import type { PodWorkers } from '../pod-workers.ts';
import { evictionMessage, limitsStorage, type StorageUse } from './eviction.ts';

const everyMs = 10_000;

/** Until `signal` aborts. */
export async function evictExcess(context: NodeContext, workers: PodWorkers, signal: AbortSignal): Promise<void> {
  const { clock, log } = context;
  while (!signal.aborted) {
    await clock.sleep(everyMs, signal).catch(() => {});
    if (signal.aborted) return;
    await evictOnce(context, workers).catch((error) =>
      log.warn({ error: messageOf(error) }, 'disk use of pods not known'),
    );
  }
}

async function evictOnce(context: NodeContext, workers: PodWorkers): Promise<void> {
  const watched = workers.all().filter((state) => !isOver(state) && limitsStorage(state.object));
  await Promise.all(
    watched.map(async (state) => {
      const filter = { labelSelector: { [label.podUid]: state.uid } };
      const { stats = [] } = await context.runtime.listPodSandboxStats({ filter });
      const message = stats[0] && evictionMessage(state.object, useOf(stats[0]));
      if (!message || isOver(state)) return;
      state.eviction = { reason: 'Evicted', message, atMs: context.clock.now(), disrupted: true };
      context.events.pod(state.object, 'Warning', 'Evicted', message);
      workers.wake(state.uid);
    }),
  );
}

const isOver = (state: PodState): boolean =>
  state.finished ||
  state.gone !== undefined ||
  state.eviction !== undefined ||
  isTerminalPhase(state.pod.status?.phase);

function useOf(stats: cri.PodSandboxStats): StorageUse {
  const containers = (stats.linux?.containers ?? []).map((one): [string, number] => [
    one.attributes?.metadata?.name ?? '',
    Number(one.writableLayer?.usedBytes?.value ?? 0n),
  ]);
  const volumes = Object.entries(stats.attributes?.annotations ?? {})
    .filter(([key]) => key.startsWith(annotation.volumeUsed))
    .map(([key, bytes]): [string, number] => [key.slice(annotation.volumeUsed.length), Number(bytes) || 0]);
  return { containers: new Map(containers), volumes: new Map(volumes) };
}
