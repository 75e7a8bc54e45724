/**
 * One step of a StatefulSet. Pure. OrderedReady goes from Pod to Pod and does nothing more until the one it stands at is well;
 * Parallel does to all what there is to do. Only the replacement of outdated Pods is one by one under both.
 *
 *   missing, or ended          make (an ended one is deleted first)
 *   beyond the wanted number   delete, highest first
 *   of an outdated revision    delete, highest first, down to the partition
 */
import type { StatefulSetStatus } from 'kubernetes-types/apps/v1.js';
import { hasEnded, isAvailable, isReady, type PodObject } from '../pods/pod-facts.ts';
import { ordinalOf, revisionNameOf, statefulPod } from './identity.ts';
import type { RevisionObject, StatefulSetObject } from './revisions.ts';

export interface StatefulSetView {
  set: StatefulSetObject;
  pods: PodObject[];
  /** What Pods were before the update that is under way, and what they shall be. */
  current: RevisionObject;
  update: RevisionObject;
  nowMs: number;
}

export interface StatefulSetDecision {
  create: PodObject[];
  remove: PodObject[];
}

const none: StatefulSetDecision = { create: [], remove: [] };

export function decideStatefulSet(view: StatefulSetView): StatefulSetDecision {
  if (view.set.metadata?.deletionTimestamp) return none;
  const isOrdered = view.set.spec?.podManagementPolicy !== 'Parallel';
  const { filled, decision } = fill(view, isOrdered);
  if (isOrdered && (!filled || isSomething(decision))) return decision;
  const shrunk = shrink(view, isOrdered);
  if (isOrdered && shrunk) return shrunk;
  const both = { create: decision.create, remove: [...decision.remove, ...(shrunk?.remove ?? [])] };
  if (isSomething(both) || !filled) return both;
  return replaceOutdated(view);
}

const isSomething = ({ create, remove }: StatefulSetDecision) => create.length + remove.length > 0;

function isHealthy({ set, nowMs }: StatefulSetView, pod: PodObject): boolean {
  return (
    pod.status?.phase === 'Running' &&
    !pod.metadata?.deletionTimestamp &&
    isAvailable(pod, set.spec?.minReadySeconds, nowMs)
  );
}

function rangeOf({ set }: StatefulSetView): { start: number; end: number } {
  const start = set.spec?.ordinals?.start ?? 0;
  return { start, end: start + (set.spec?.replicas ?? 1) };
}

/** `filled`: every Pod is there; when ordered, also well. */
function fill(view: StatefulSetView, isOrdered: boolean): { filled: boolean; decision: StatefulSetDecision } {
  const byOrdinal = new Map(view.pods.map((pod) => [ordinalOf(view.set, pod), pod]));
  const decision: StatefulSetDecision = { create: [], remove: [] };
  let filled = true;
  const { start, end } = rangeOf(view);
  for (let ordinal = start; ordinal < end; ordinal++) {
    const pod = byOrdinal.get(ordinal);
    if (!pod) decision.create.push(statefulPod(view.set, ordinal, revisionFor(view, ordinal)));
    else if (hasEnded(pod) && !pod.metadata?.deletionTimestamp) decision.remove.push(pod);
    else if (isOrdered ? isHealthy(view, pod) : !pod.metadata?.deletionTimestamp) continue;
    filled = false;
    if (isOrdered) break;
  }
  return { filled, decision };
}

/** Below the partition, and while nothing was updated yet, Pods come back as they were. */
function revisionFor({ set, current, update }: StatefulSetView, ordinal: number): RevisionObject {
  const { type, rollingUpdate } = set.spec?.updateStrategy ?? {};
  if (type === 'OnDelete') return update;
  const start = set.spec?.ordinals?.start ?? 0;
  return ordinal < start + (rollingUpdate?.partition ?? 0) ? current : update;
}

/** Undefined when there is no Pod too many; when ordered, a Pod on its way out is waited for. */
function shrink(view: StatefulSetView, isOrdered: boolean): StatefulSetDecision | undefined {
  const { start, end } = rangeOf(view);
  const surplus = view.pods
    .map((pod) => ({ pod, ordinal: ordinalOf(view.set, pod)! }))
    .filter(({ ordinal }) => ordinal < start || ordinal >= end)
    .sort((a, b) => b.ordinal - a.ordinal)
    .map(({ pod }) => pod);
  if (surplus.length === 0) return undefined;
  if (!isOrdered) return { ...none, remove: surplus.filter((pod) => !pod.metadata?.deletionTimestamp) };
  const first = surplus[0]!;
  // Of Pods that are not well only the lowest may go: it is what the others would wait for.
  const lowestUnwell = surplus.findLast((pod) => !isHealthy(view, pod));
  const mayGo = isHealthy(view, first) || first === lowestUnwell;
  return first.metadata?.deletionTimestamp || !mayGo ? none : { ...none, remove: [first] };
}

function replaceOutdated(view: StatefulSetView): StatefulSetDecision {
  const { set, pods, update } = view;
  const { type, rollingUpdate } = set.spec?.updateStrategy ?? {};
  if (type === 'OnDelete') return none;
  const { start, end } = rangeOf(view);
  const lowest = start + (rollingUpdate?.partition ?? 0);
  const replaceable = pods
    .map((pod) => ({ pod, ordinal: ordinalOf(set, pod)! }))
    .filter(({ ordinal }) => ordinal >= lowest && ordinal < end)
    .sort((a, b) => b.ordinal - a.ordinal);
  for (const { pod } of replaceable) {
    const isOutdated = revisionNameOf(pod) !== update.metadata?.name;
    if (isOutdated && !pod.metadata?.deletionTimestamp) return { ...none, remove: [pod] };
    if (!isHealthy(view, pod)) return none;
  }
  return none;
}

export function statefulSetStatus(view: StatefulSetView): StatefulSetStatus {
  const { set, pods, current, update, nowMs } = view;
  const made = pods.filter((pod) => pod.status?.phase);
  const [currentName, updateName] = [current.metadata?.name, update.metadata?.name];
  const alive = made.filter((pod) => !pod.metadata?.deletionTimestamp);
  const ready = made.filter((pod) => pod.status?.phase === 'Running' && isReady(pod));
  const available = ready.filter((pod) => isAvailable(pod, set.spec?.minReadySeconds, nowMs));
  const updated = alive.filter((pod) => revisionNameOf(pod) === updateName).length;
  const isDone = updated === made.length && ready.length === made.length && made.length === (set.spec?.replicas ?? 1);
  // An update is over when every Pod is of it: from then on it is what Pods are.
  const now = set.spec?.updateStrategy?.type === 'RollingUpdate' && isDone ? updateName : currentName;
  const counts = {
    readyReplicas: ready.length,
    currentReplicas: alive.filter((pod) => revisionNameOf(pod) === now).length,
    updatedReplicas: updated,
  };
  return {
    observedGeneration: set.metadata?.generation,
    replicas: made.length,
    ...Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0)),
    availableReplicas: available.length,
    ...(now && { currentRevision: now }),
    ...(updateName && { updateRevision: updateName }),
    collisionCount: set.status?.collisionCount ?? 0,
    ...(set.status?.conditions && { conditions: set.status.conditions }),
  };
}
