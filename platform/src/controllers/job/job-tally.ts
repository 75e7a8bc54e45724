/**
 * What a Job's Pods amount to. Pure. It owns the rule that no end is counted twice or lost (KEP-2307):
 *
 *   Pod ends, has the finalizer ──▶ its uid (or index) stands in the Job's status ──▶ finalizer is taken off ──▶ counter rises, uid goes
 *
 * Each arrow is one write, and each can be done again. A Pod without the finalizer was counted, or is not the Job's to count.
 */
import { indexSet } from '@sampan/api/kinds/batch/index-list.ts';
import { hasEnded, isActive, isReady, type PodObject } from '../pods/pod-facts.ts';
import { judgeFailure } from './failure-policy.ts';
import { failuresBefore, hasFailed, indexOf, isIndexed, isTracked, type JobObject } from './job-facts.ts';

/** So that the status stays small. */
const maxNewlyUncounted = 500;

export interface Tally {
  active: PodObject[];
  /** On their way out, and not ended. */
  terminating: PodObject[];
  /** Active, but with no index of the Job, or with one that another has already. */
  surplus: PodObject[];
  /** Their end is accounted for, or will be once the next status is written: the finalizer may go. */
  release: PodObject[];
  /** uids of Pods that ended and are in no counter yet. */
  uncounted: { succeeded: Set<string>; failed: Set<string> };
  counted: { succeeded: number; failed: number };
  /** Indexed: those that are done. */
  completed: Set<number>;
  failedIndexes: Set<number>;
  /** A rule of the failure policy says that the whole Job has failed. */
  failJob: string | undefined;
  ready: number;
}

export function succeededOf({ counted, uncounted }: Tally): number {
  return counted.succeeded + uncounted.succeeded.size;
}

export function failedOf({ counted, uncounted }: Tally): number {
  return counted.failed + uncounted.failed.size;
}

/** `isEnding`: nothing will be replaced any more. */
export function takeStock(job: JobObject, pods: PodObject[], isEnding: boolean): Tally {
  const spec = job.spec!;
  const limit = spec.completions ?? 0;
  const tally: Tally = {
    active: [],
    terminating: pods.filter((pod) => pod.metadata?.deletionTimestamp && !hasEnded(pod)),
    surplus: [],
    release: [],
    ...settle(job, pods),
    completed: indexSet(job.status?.completedIndexes, limit),
    failedIndexes: indexSet(job.status?.failedIndexes, limit),
    failJob: undefined,
    ready: 0,
  };
  const ended = pods.filter((pod) => isTracked(pod) && (pod.status?.phase === 'Succeeded' || hasFailed(pod, spec)));
  for (const pod of ended) if (pod.status?.phase === 'Succeeded') countSuccess(job, pod, tally);
  const failed = ended.filter((pod) => pod.status?.phase !== 'Succeeded');
  for (const pod of failed)
    countFailure({
      job,
      pod,
      tally,
      isDelayed: !isEnding && isAwaitingHeir({ job, pod, pods, completed: tally.completed }),
    });
  sortActive(job, pods, tally);
  tally.ready = tally.active.filter(isReady).length;
  if (isIndexed(spec)) tally.counted.succeeded = tally.completed.size;
  return tally;
}

/** Moves uids whose Pods have lost the finalizer from the list into the counters. */
function settle({ status }: JobObject, pods: PodObject[]): Pick<Tally, 'uncounted' | 'counted'> {
  const tracked = new Set(pods.filter(isTracked).map((pod) => pod.metadata?.uid ?? ''));
  const { succeeded = [], failed = [] } = status?.uncountedTerminatedPods ?? {};
  const still = (uids: string[]) => new Set(uids.filter((uid) => tracked.has(uid)));
  const uncounted = { succeeded: still(succeeded), failed: still(failed) };
  return {
    uncounted,
    counted: {
      succeeded: (status?.succeeded ?? 0) + succeeded.length - uncounted.succeeded.size,
      failed: (status?.failed ?? 0) + failed.length - uncounted.failed.size,
    },
  };
}

function countSuccess({ spec }: JobObject, pod: PodObject, tally: Tally): void {
  if (isIndexed(spec!)) {
    const index = indexOf(pod);
    if (index !== undefined && index < (spec!.completions ?? 0)) {
      tally.completed.add(index);
      tally.failedIndexes.delete(index);
    }
    tally.release.push(pod);
  } else addUncounted(tally.uncounted.succeeded, pod, tally);
}

interface Failure {
  job: JobObject;
  pod: PodObject;
  tally: Tally;
  isDelayed: boolean;
}

function countFailure({ job, pod, tally, isDelayed }: Failure): void {
  const { backoffLimitPerIndex: limit } = job.spec!;
  const verdict = judgeFailure(pod, job.spec!);
  if (verdict.action === 'FailJob') tally.failJob ??= verdict.message;
  const index = indexOf(pod);
  const isLast =
    limit !== undefined &&
    (verdict.action === 'FailIndex' || (verdict.action !== 'Ignore' && failuresBefore(pod) >= limit));
  if (isLast && index !== undefined && !tally.completed.has(index)) tally.failedIndexes.add(index);
  else if (isDelayed) return;
  if (verdict.action === 'Ignore') tally.release.push(pod);
  else addUncounted(tally.uncounted.failed, pod, tally);
}

function addUncounted(list: Set<string>, pod: PodObject, { uncounted, release }: Tally): void {
  const uid = pod.metadata?.uid ?? '';
  if (!list.has(uid) && uncounted.succeeded.size + uncounted.failed.size >= maxNewlyUncounted) return;
  list.add(uid);
  release.push(pod);
}

interface Heirs {
  job: JobObject;
  pod: PodObject;
  pods: PodObject[];
  completed: Set<number>;
}

/** Its annotation is all that knows how often the index has failed: it stays until the Pod after it carries the number on. */
function isAwaitingHeir({ job: { spec }, pod, pods, completed }: Heirs): boolean {
  if (spec!.backoffLimitPerIndex === undefined) return false;
  const index = indexOf(pod);
  if (index === undefined || index >= (spec!.completions ?? 0)) return false;
  if (completed.has(index)) return false;
  const isHeir = (other: PodObject) =>
    other !== pod &&
    indexOf(other) === index &&
    (!hasFailed(other, spec!) || failuresBefore(other) > failuresBefore(pod));
  return !pods.some(isHeir);
}

function sortActive({ spec }: JobObject, pods: PodObject[], tally: Tally): void {
  const seen = new Set<number>();
  for (const pod of pods.filter(isActive)) {
    if (!isIndexed(spec!)) tally.active.push(pod);
    else {
      const index = indexOf(pod);
      const isWanted = index !== undefined && index < (spec!.completions ?? 0) && !seen.has(index);
      if (isWanted && !tally.completed.has(index)) {
        seen.add(index);
        tally.active.push(pod);
      } else tally.surplus.push(pod);
    }
  }
}
