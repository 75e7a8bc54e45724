/**
 * What is to be done about a Job as it stands: pure. Owns when a Job has succeeded or failed, how many Pods it should have, and its status.
 *
 *   (no startTime) ──▶ running ◀──suspend/resume──▶ Suspended
 *                        ├── enough succeeded ──▶ SuccessCriteriaMet ──nothing of it runs any more──▶ Complete
 *                        └── limit or deadline ─▶ FailureTarget ──────nothing of it runs any more──▶ Failed ──ttl──▶ gone
 */
import { formatIndexList } from '@sampan/api/kinds/batch/index-list.ts';
import { jobManager } from '@sampan/api/kinds/batch/job-labels.ts';
import { parseTime } from '@sampan/api/time.ts';
import type { JobStatus } from 'kubernetes-types/batch/v1.js';
import { toTime } from '../../base/clock.ts';
import type { PodObject } from '../pods/pod-facts.ts';
import { decidedOutcome, withCondition, withEnd, withTarget } from './job-conditions.ts';
import { conditionOf, endOf, isIndexed, isTracked, type JobObject } from './job-facts.ts';
import { nextDeadline, outcomeOf } from './job-outcome.ts';
import { type NewPodOrder, planPods } from './job-plan.ts';
import { type Tally, takeStock } from './job-tally.ts';
import type { BackoffOptions } from './pod-backoff.ts';

export interface JobDecision {
  /** Written first, when it differs. Absent: the Job is not ours to write. */
  status?: JobStatus;
  /** Deleted; they count as failed. */
  kill: PodObject[];
  /** The finalizer is taken off, then they are deleted: they count as nothing. */
  discard: PodObject[];
  /** The finalizer is taken off once the status is written. */
  release: PodObject[];
  create: NewPodOrder[];
  /** Look again then at the latest. */
  wakeAtMs?: number;
  /** Its time to live is over. */
  remove?: boolean;
}

export interface JobSituation {
  job: JobObject;
  /** Those the Job controls. */
  pods: PodObject[];
  nowMs: number;
  backoff: BackoffOptions;
}

const nothing = { kill: [], discard: [], release: [], create: [] };

export function decideJob(situation: JobSituation): JobDecision {
  const { job, pods, nowMs } = situation;
  const { managedBy = jobManager } = job.spec!;
  if (managedBy !== jobManager) return nothing;
  if (endOf(job)) return afterTheEnd(situation);

  const decided = decidedOutcome(job.status);
  const tally = takeStock(job, pods, decided !== undefined || Boolean(job.metadata?.deletionTimestamp));
  const status = startedStatus(situation);
  const outcome = decided ?? outcomeOf({ job: { ...job, status }, tally, pods, nowMs });
  const plan = planPods({ ...situation, tally, outcome });
  const next = { ...status, ...numbersOf(job, tally) };
  if (outcome) {
    next.conditions = withTarget(next.conditions ?? [], outcome, nowMs);
    if (isWoundDown(pods, tally)) {
      next.conditions = withEnd(next.conditions, outcome, nowMs);
      if (outcome.type === 'Complete') next.completionTime = toTime(nowMs);
    }
  }
  const wakes = [plan.wakeAtMs, outcome ? undefined : nextDeadline({ ...job, status: next }, nowMs)];
  const known = wakes.filter((ms) => ms !== undefined);
  return {
    ...plan,
    status: tidy(next),
    release: tally.release.filter((pod) => !plan.discard.includes(pod)),
    ...(known.length > 0 ? { wakeAtMs: Math.min(...known) } : { wakeAtMs: undefined }),
  };
}

/** Nothing of the Job is left to run or to count. */
function isWoundDown(pods: PodObject[], { active, surplus, terminating, uncounted }: Tally): boolean {
  const uncountedPods = uncounted.succeeded.size + uncounted.failed.size;
  return active.length + surplus.length + terminating.length + uncountedPods === 0 && !pods.some(isTracked);
}

function afterTheEnd({ job, pods, nowMs }: JobSituation): JobDecision {
  const release = pods.filter(isTracked);
  const { ttlSecondsAfterFinished: ttl } = job.spec!;
  const ended = parseTime(endOf(job)!.lastTransitionTime);
  if (ttl === undefined || ended === undefined || job.metadata?.deletionTimestamp) return { ...nothing, release };
  const expiresMs = ended + ttl * 1000;
  return expiresMs <= nowMs ? { ...nothing, release, remove: true } : { ...nothing, release, wakeAtMs: expiresMs };
}

/** The clock of a Job runs while it is not suspended, and begins anew when it is resumed. */
function startedStatus({ job, nowMs }: JobSituation): JobStatus {
  const status: JobStatus = { ...job.status };
  const conditions = status.conditions ?? [];
  if (job.spec!.suspend) {
    delete status.startTime;
    const suspended = { type: 'Suspended', status: 'True', reason: 'JobSuspended', message: 'Job suspended' } as const;
    return { ...status, conditions: withCondition(conditions, suspended, nowMs) };
  }
  if (conditionOf(conditions, 'Suspended')) {
    const resumed = { type: 'Suspended', status: 'False', reason: 'JobResumed', message: 'Job resumed' } as const;
    return { ...status, conditions: withCondition(conditions, resumed, nowMs), startTime: toTime(nowMs) };
  }
  return { ...status, startTime: status.startTime ?? toTime(nowMs) };
}

function numbersOf({ spec }: JobObject, tally: Tally): JobStatus {
  const { counted, uncounted } = tally;
  return {
    active: tally.active.length + tally.surplus.length,
    ready: tally.ready,
    terminating: tally.terminating.length,
    succeeded: counted.succeeded,
    failed: counted.failed,
    uncountedTerminatedPods: {
      ...(uncounted.succeeded.size > 0 && { succeeded: [...uncounted.succeeded] }),
      ...(uncounted.failed.size > 0 && { failed: [...uncounted.failed] }),
    },
    ...(isIndexed(spec!) && { completedIndexes: formatIndexList(tally.completed) }),
    ...(spec!.backoffLimitPerIndex !== undefined && { failedIndexes: formatIndexList(tally.failedIndexes) }),
  };
}

/** Without the zeros that Kubernetes leaves out. */
function tidy(status: JobStatus): JobStatus {
  const kept = { ...status };
  for (const field of ['active', 'succeeded', 'failed', 'completedIndexes'] as const) {
    if (!kept[field]) delete kept[field];
  }
  if (kept.conditions?.length === 0) delete kept.conditions;
  return kept;
}
