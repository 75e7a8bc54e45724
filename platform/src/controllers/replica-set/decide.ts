/** What a ReplicaSet does about its Pods, and what it says of them. Pure. */

import type { KubeObject } from '@sampan/api/client.ts';
import { messageOf } from '@sampan/api/errors.ts';
import type { ReplicaSet, ReplicaSetCondition, ReplicaSetStatus } from 'kubernetes-types/apps/v1.js';
import { toTime } from '../../base/clock.ts';
import { inDeletionOrder } from '../pods/deletion-order.ts';
import { isActive, isAvailable, isReady, type PodObject } from '../pods/pod-facts.ts';

export type ReplicaSetObject = ReplicaSet & KubeObject;

/** The most Pods one look creates or deletes, so that one set does not keep the others waiting. */
const burst = 500;

export interface ReplicaSetView {
  set: ReplicaSetObject;
  /** What it owns, ended and ending Pods included. */
  pods: PodObject[];
  /** Pods of its Deployment's other ReplicaSets, and its own. */
  related: PodObject[];
  nowMs: number;
}

export interface ReplicaSetDecision {
  create: number;
  remove: PodObject[];
}

export function decideReplicas({ set, pods, related, nowMs }: ReplicaSetView): ReplicaSetDecision {
  if (set.metadata?.deletionTimestamp) return { create: 0, remove: [] };
  const active = pods.filter(isActive);
  const missing = (set.spec?.replicas ?? 1) - active.length;
  if (missing >= 0) return { create: Math.min(missing, burst), remove: [] };
  const surplus = Math.min(-missing, burst);
  return { create: 0, remove: inDeletionOrder(active, { related, nowMs }).slice(0, surplus) };
}

/** `failure` is what kept the set from creating or deleting Pods just now. */
export function replicaSetStatus(
  { set, pods, nowMs }: Omit<ReplicaSetView, 'related'>,
  failure: { verb: 'create' | 'delete'; error: unknown } | undefined,
): ReplicaSetStatus {
  const active = pods.filter(isActive);
  const labels = Object.entries(set.spec?.template?.metadata?.labels ?? {});
  const conditions = conditionsOf(set, failure, nowMs);
  const count = (name: string, test: (pod: PodObject) => boolean) => {
    const number = active.filter(test).length;
    return number > 0 ? { [name]: number } : {};
  };
  return {
    replicas: active.length,
    ...count('fullyLabeledReplicas', (pod) => labels.every(([key, value]) => pod.metadata?.labels?.[key] === value)),
    ...count('readyReplicas', isReady),
    ...count('availableReplicas', (pod) => isAvailable(pod, set.spec?.minReadySeconds, nowMs)),
    observedGeneration: set.metadata?.generation,
    ...(conditions.length > 0 && { conditions }),
  };
}

function conditionsOf(
  set: ReplicaSetObject,
  failure: { verb: 'create' | 'delete'; error: unknown } | undefined,
  nowMs: number,
): ReplicaSetCondition[] {
  const before = set.status?.conditions ?? [];
  const others = before.filter(({ type }) => type !== 'ReplicaFailure');
  if (!failure) return others;
  const reason = failure.verb === 'create' ? 'FailedCreate' : 'FailedDelete';
  const message = messageOf(failure.error);
  const same = before.find((one) => one.type === 'ReplicaFailure' && one.reason === reason && one.message === message);
  const lastTransitionTime = same?.lastTransitionTime ?? toTime(nowMs);
  return [...others, { type: 'ReplicaFailure', status: 'True', reason, message, lastTransitionTime }];
}
