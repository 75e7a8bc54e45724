/** What controllers want to know of a Pod: pure readings of its status. */
import type { KubeObject } from '@sampan/api/client.ts';
import type { Pod } from 'kubernetes-types/core/v1.js';

export type PodObject = Pod & KubeObject;

/** Not ended and not on its way out: it counts. */
export function isActive(pod: PodObject): boolean {
  return !hasEnded(pod) && !pod.metadata?.deletionTimestamp;
}

export function hasEnded(pod: PodObject): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

export function isReady(pod: PodObject): boolean {
  return readyCondition(pod)?.status === 'True';
}

/** When it became ready; undefined when it is not. */
export function readySinceMs(pod: PodObject): number | undefined {
  const condition = readyCondition(pod);
  return condition?.status === 'True' ? Date.parse(String(condition.lastTransitionTime)) || 0 : undefined;
}

/** When it has been, or will have been, ready for `minReadySeconds`; undefined when it is not ready. */
function availableAtMs(pod: PodObject, minReadySeconds = 0): number | undefined {
  const since = readySinceMs(pod);
  if (since === undefined) return undefined;
  // Without a wait the clocks of node and server do not matter.
  return minReadySeconds === 0 ? 0 : since + minReadySeconds * 1000;
}

export function isAvailable(pod: PodObject, minReadySeconds: number | undefined, nowMs: number): boolean {
  const at = availableAtMs(pod, minReadySeconds);
  return at !== undefined && at <= nowMs;
}

/** Milliseconds until the next of these Pods becomes available; undefined when none is waiting for time to pass. */
export function nextAvailableInMs(
  pods: PodObject[],
  minReadySeconds: number | undefined,
  nowMs: number,
): number | undefined {
  const waits = pods
    .map((pod) => availableAtMs(pod, minReadySeconds))
    .filter((at) => at !== undefined)
    .map((at) => at - nowMs)
    .filter((ms) => ms > 0);
  return waits.length > 0 ? Math.min(...waits) : undefined;
}

function readyCondition(pod: PodObject) {
  return pod.status?.conditions?.find((condition) => condition.type === 'Ready');
}
