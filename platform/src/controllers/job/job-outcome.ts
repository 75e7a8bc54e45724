/** Whether a Job has come to an end, by its limits, deadline and successes. Pure. */
import type { JobSpec } from 'kubernetes-types/batch/v1.js';
import type { PodObject } from '../pods/pod-facts.ts';
import { deadlineMs, matchedSuccessRule, type Outcome } from './job-conditions.ts';
import type { JobObject } from './job-facts.ts';
import { failedOf, succeededOf, type Tally } from './job-tally.ts';

interface Facts {
  /** With the status as it will be written: its startTime counts. */
  job: JobObject;
  tally: Tally;
  pods: PodObject[];
  nowMs: number;
}

/** Undefined: it goes on. Failure is looked for first, as kube-controller-manager does. */
export function outcomeOf({ job, tally, pods, nowMs }: Facts): Outcome | undefined {
  const spec = job.spec!;
  if (job.metadata?.deletionTimestamp) return undefined;
  if (tally.failJob) return { type: 'Failed', reason: 'PodFailurePolicy', message: tally.failJob };
  if (failedOf(tally) > (spec.backoffLimit ?? 0) || hasRestartedTooOften(spec, pods)) {
    const message = 'Job has reached the specified backoff limit';
    return { type: 'Failed', reason: 'BackoffLimitExceeded', message };
  }
  const deadline = deadlineMs(spec, job.status ?? {});
  if (deadline !== undefined && deadline <= nowMs) {
    return { type: 'Failed', reason: 'DeadlineExceeded', message: 'Job was active longer than specified deadline' };
  }
  return failedByIndexes(spec, tally) ?? successOf(spec, tally);
}

export function nextDeadline({ spec, status }: JobObject, nowMs: number): number | undefined {
  const deadline = deadlineMs(spec!, status ?? {});
  return deadline !== undefined && deadline > nowMs ? deadline : undefined;
}

function failedByIndexes(spec: JobSpec, { failedIndexes, completed }: Tally): Outcome | undefined {
  if (spec.backoffLimitPerIndex === undefined || failedIndexes.size === 0) return undefined;
  if (spec.maxFailedIndexes !== undefined && failedIndexes.size > spec.maxFailedIndexes) {
    const message = 'Job has exceeded the specified maximal number of failed indexes';
    return { type: 'Failed', reason: 'MaxFailedIndexesExceeded', message };
  }
  if (matchedSuccessRule(spec, completed) !== undefined) return undefined;
  if (failedIndexes.size + completed.size < (spec.completions ?? 0)) return undefined;
  return { type: 'Failed', reason: 'FailedIndexes', message: 'Job has failed indexes' };
}

function successOf(spec: JobSpec, tally: Tally): Outcome | undefined {
  const rule = matchedSuccessRule(spec, tally.completed);
  if (rule !== undefined) {
    return { type: 'Complete', reason: 'SuccessPolicy', message: `Matched rules at index ${rule}` };
  }
  const succeeded = succeededOf(tally);
  const isDone =
    spec.completions === undefined
      ? succeeded > 0 && tally.active.length === 0
      : succeeded >= spec.completions && !spec.suspend;
  if (!isDone) return undefined;
  return { type: 'Complete', reason: 'CompletionsReached', message: 'Reached expected number of succeeded pods' };
}

/** Containers that are restarted in their Pod never fail it: their restarts are held against the limit. */
function hasRestartedTooOften(spec: JobSpec, pods: PodObject[]): boolean {
  if (spec.template.spec?.restartPolicy !== 'OnFailure') return false;
  const alive = pods.filter(({ status }) => status?.phase === 'Running' || status?.phase === 'Pending');
  const restarts = alive
    .flatMap(({ status }) => [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])])
    .reduce((sum, { restartCount }) => sum + (restartCount ?? 0), 0);
  const limit = spec.backoffLimit ?? 0;
  return limit === 0 ? restarts > 0 : restarts >= limit;
}
