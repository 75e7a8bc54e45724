/** What a write to a Pod or one of its subresources may touch, and how long its end takes (registry/core/pod/strategy.go). */
import type { Pod, PodStatus } from 'kubernetes-types/core/v1.js';
import type { Target } from '../../kind.ts';
import { bumpGeneration, take } from '../define.ts';
import { qosClassOf } from './qos-class.ts';

export function preparePodCreate(pod: Pod): void {
  Object.assign(pod.metadata!, { generation: 1 });
  const status: PodStatus = { phase: 'Pending', qosClass: qosClassOf(pod) };
  const gates = (pod.spec as { schedulingGates?: unknown[] }).schedulingGates ?? [];
  if (gates.length > 0) {
    status.conditions = [
      {
        type: 'PodScheduled',
        status: 'False',
        reason: 'SchedulingGated',
        message: 'Scheduling is blocked due to non-empty scheduling gates',
      },
    ];
  }
  Object.assign(pod, { status });
}

export function preparePodUpdate(pod: Pod, old: Pod, target: Target): void {
  if (target === 'status') {
    take(pod, old, 'spec');
    take(pod.metadata!, old.metadata!, 'ownerReferences');
    if (!pod.status?.qosClass) Object.assign(pod, { status: { ...pod.status, qosClass: old.status?.qosClass } });
    return;
  }
  take(pod, old, 'status');
  if (target === 'ephemeralcontainers') {
    const { ephemeralContainers } = pod.spec!;
    take(pod, old, 'spec');
    take(pod.metadata!, old.metadata!, 'labels');
    take(pod.metadata!, old.metadata!, 'annotations');
    if (ephemeralContainers) pod.spec!.ephemeralContainers = ephemeralContainers;
    else delete pod.spec!.ephemeralContainers;
  }
  bumpGeneration(pod, old);
}

/** A Pod that no node has, or whose containers have all ended, needs no winding down. */
export function podGracePeriodSeconds(pod: Pod, requested: number | undefined): number {
  if (!pod.spec?.nodeName) return 0;
  if (pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') return 0;
  const seconds = requested ?? pod.spec.terminationGracePeriodSeconds ?? 30;
  return seconds < 0 ? 1 : seconds;
}
