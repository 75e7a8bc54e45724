/** Which Pods of a Job come and which go. Pure. */
import { inDeletionOrder } from '../pods/deletion-order.ts';
import type { PodObject } from '../pods/pod-facts.ts';
import { judgeFailure } from './failure-policy.ts';
import type { Outcome } from './job-conditions.ts';
import {
  failuresBefore,
  hasFailed,
  indexOf,
  isIndexed,
  isTracked,
  type JobObject,
  replacesOnlyFailed,
} from './job-facts.ts';
import { succeededOf, type Tally } from './job-tally.ts';
import { type BackoffOptions, indexRetryAtMs, retryAtMs } from './pod-backoff.ts';

/** What a new Pod is made for. */
export interface NewPodOrder {
  /** Indexed Jobs. */
  index?: number;
  /** Under backoffLimitPerIndex: how often the index has failed, and how often that was ignored. */
  failures?: number;
  ignoredFailures?: number;
}

export interface Plan {
  kill: PodObject[];
  discard: PodObject[];
  create: NewPodOrder[];
  wakeAtMs?: number;
}

interface PlanInput {
  job: JobObject;
  pods: PodObject[];
  nowMs: number;
  backoff: BackoffOptions;
  tally: Tally;
  outcome: Outcome | undefined;
}

/** Pods made in one go; the rest comes when these are seen. */
const maxCreated = 500;

export function planPods(input: PlanInput): Plan {
  const { job, tally, outcome, nowMs } = input;
  const { active, surplus } = tally;
  const none = { kill: [], discard: [], create: [] };
  if (outcome?.type === 'Failed') return { ...none, kill: [...active, ...surplus] };
  if (outcome || job.spec!.suspend) return { ...none, discard: [...active, ...surplus] };
  if (job.metadata?.deletionTimestamp) return none;
  const excess = active.length - wantedActive(job, tally);
  if (excess > 0) return { ...none, discard: [...surplus, ...leastUseful(job, active, nowMs).slice(0, excess)] };
  const room = -excess - (replacesOnlyFailed(job.spec!) ? tally.terminating.length : 0);
  return { ...none, discard: surplus, ...newPods(input, Math.min(room, maxCreated)) };
}

function wantedActive({ spec }: JobObject, tally: Tally): number {
  const parallelism = spec!.parallelism ?? 1;
  const succeeded = succeededOf(tally);
  if (spec!.completions === undefined) return succeeded > 0 ? Math.min(tally.active.length, parallelism) : parallelism;
  const left = spec!.completions - succeeded - tally.failedIndexes.size;
  return Math.max(0, Math.min(left, parallelism));
}

/** Indexed Jobs give up the highest index, others the Pod that has done least. */
function leastUseful({ spec }: JobObject, active: PodObject[], nowMs: number): PodObject[] {
  if (!isIndexed(spec!)) return inDeletionOrder(active, { related: active, nowMs });
  return [...active].sort((a, b) => (indexOf(b) ?? 0) - (indexOf(a) ?? 0));
}

function newPods(input: PlanInput, room: number): { create: NewPodOrder[]; wakeAtMs?: number } {
  const { job, pods, backoff, nowMs } = input;
  if (room <= 0) return { create: [] };
  if (job.spec!.backoffLimitPerIndex !== undefined) return newPodsByIndex(input, room);
  const retryAt = retryAtMs(pods, backoff);
  if (retryAt > nowMs) return { create: [], wakeAtMs: retryAt };
  if (!isIndexed(job.spec!)) return { create: Array.from({ length: room }, () => ({})) };
  return {
    create: freeIndexes(input)
      .slice(0, room)
      .map((index) => ({ index })),
  };
}

/** Every index waits for its own failures alone. */
function newPodsByIndex(input: PlanInput, room: number): { create: NewPodOrder[]; wakeAtMs?: number } {
  const { pods, backoff, nowMs } = input;
  const create: NewPodOrder[] = [];
  let wakeAtMs: number | undefined;
  for (const index of freeIndexes(input)) {
    if (create.length === room) break;
    const retryAt = indexRetryAtMs(pods, index, backoff);
    if (retryAt > nowMs) wakeAtMs = Math.min(wakeAtMs ?? retryAt, retryAt);
    else create.push({ index, ...failuresOf(input, index) });
  }
  return wakeAtMs === undefined ? { create } : { create, wakeAtMs };
}

/** Lowest first; not done, not failed for good, and nobody is at it. */
function freeIndexes({ job, tally }: PlanInput): number[] {
  const taken = new Set([...tally.completed, ...tally.failedIndexes]);
  const busy = replacesOnlyFailed(job.spec!) ? [...tally.active, ...tally.terminating] : tally.active;
  for (const pod of busy) taken.add(indexOf(pod) ?? -1);
  const free: number[] = [];
  for (let index = 0; index < (job.spec!.completions ?? 0) && free.length < maxCreated; index++) {
    if (!taken.has(index)) free.push(index);
  }
  return free;
}

/** What the Pod after the last failed one has to carry on. */
function failuresOf({ job, pods }: PlanInput, index: number): NewPodOrder {
  const failed = pods.filter((pod) => indexOf(pod) === index && isTracked(pod) && hasFailed(pod, job.spec!));
  const last = failed.sort((a, b) => failuresBefore(b) - failuresBefore(a))[0];
  if (!last) return { failures: 0 };
  const isIgnored = judgeFailure(last, job.spec!).action === 'Ignore';
  return { failures: failuresBefore(last) + (isIgnored ? 0 : 1), ...(isIgnored && { ignoredFailures: 1 }) };
}
