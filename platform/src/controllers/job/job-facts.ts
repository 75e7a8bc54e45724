/** What the Job controller reads from Jobs and their Pods. Pure. */
import type { KubeObject } from '@sampan/api/client.ts';
import { completionIndexKey, indexFailureCountKey, trackingFinalizer } from '@sampan/api/kinds/batch/job-labels.ts';
import { parseTime } from '@sampan/api/time.ts';
import type { Job, JobCondition, JobSpec } from 'kubernetes-types/batch/v1.js';
import type { PodObject } from '../pods/pod-facts.ts';

export type JobObject = Job & KubeObject;

export function isTracked(pod: PodObject): boolean {
  return pod.metadata?.finalizers?.includes(trackingFinalizer) ?? false;
}

export function conditionOf(conditions: JobCondition[] | undefined, type: string): JobCondition | undefined {
  return conditions?.find((one) => one.type === type && one.status === 'True');
}

/** The condition that says how it ended. */
export function endOf({ status }: JobObject): JobCondition | undefined {
  return conditionOf(status?.conditions, 'Complete') ?? conditionOf(status?.conditions, 'Failed');
}

export function isIndexed(spec: JobSpec): boolean {
  return spec.completionMode === 'Indexed';
}

/** Undefined when there is none, or one that cannot be. */
export function indexOf(pod: PodObject): number | undefined {
  const text = pod.metadata?.annotations?.[completionIndexKey];
  return text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}

/** Failures of the index before this Pod was made (KEP-3850). */
export function failuresBefore(pod: PodObject): number {
  return Number(pod.metadata?.annotations?.[indexFailureCountKey]) || 0;
}

/** Replacements wait until the Pod has really ended (KEP-3939). */
export function replacesOnlyFailed(spec: JobSpec): boolean {
  return spec.podReplacementPolicy === 'Failed';
}

/**
 * Counts as failed: it says so, or it was deleted before it could say anything. Where only what has ended is replaced, a deleted Pod
 * counts once nobody runs it: it had no node, or its node has let it go.
 */
export function hasFailed(pod: PodObject, spec: JobSpec): boolean {
  if (pod.status?.phase === 'Failed') return true;
  if (!pod.metadata?.deletionTimestamp || pod.status?.phase === 'Succeeded') return false;
  return !replacesOnlyFailed(spec) || isLetGo(pod);
}

/** Deleted, and no node has it: whatever its status says, it runs no more. */
export function isLetGo({ metadata, spec }: PodObject): boolean {
  return metadata?.deletionTimestamp !== undefined && (!spec?.nodeName || metadata.deletionGracePeriodSeconds === 0);
}

/** When the last of its containers ended, as near as it is known. */
export function finishedMs(pod: PodObject): number {
  const ends = (pod.status?.containerStatuses ?? []).map((one) => parseTime(one.state?.terminated?.finishedAt));
  const known = ends.filter((ms) => ms !== undefined);
  if (known.length > 0) return Math.max(...known);
  const ready = pod.status?.conditions?.find(({ type }) => type === 'Ready');
  const times = [ready?.lastTransitionTime, pod.metadata?.creationTimestamp];
  return times.map(parseTime).find((ms) => ms !== undefined) ?? 0;
}
