/** Conditions of a Job: which end it is heading for, and how they are kept in its status. Pure. */
import { parseIndexList } from '@sampan/api/kinds/batch/index-list.ts';
import { parseTime } from '@sampan/api/time.ts';
import type { JobCondition, JobSpec, JobStatus } from 'kubernetes-types/batch/v1.js';
import { toTime } from '../../base/clock.ts';
import { conditionOf } from './job-facts.ts';

/** An end that was decided: the Job is wound down towards it, and only then gets the condition itself (KEP-3939). */
export interface Outcome {
  type: 'Complete' | 'Failed';
  reason: string;
  message: string;
}

const targets = { Complete: 'SuccessCriteriaMet', Failed: 'FailureTarget' } as const;

/** What was decided before is not decided again. */
export function decidedOutcome(status: JobStatus | undefined): Outcome | undefined {
  for (const type of ['Failed', 'Complete'] as const) {
    const condition = conditionOf(status?.conditions, targets[type]);
    if (condition) return { type, reason: condition.reason ?? '', message: condition.message ?? '' };
  }
  return undefined;
}

/** Adds or turns a condition; one that says the same already keeps its times. */
export function withCondition(
  conditions: JobCondition[],
  wanted: { type: string; status: 'True' | 'False'; reason: string; message: string },
  nowMs: number,
): JobCondition[] {
  const time = toTime(nowMs);
  const before = conditions.find(({ type }) => type === wanted.type);
  if (before?.status === wanted.status && before.reason === wanted.reason && before.message === wanted.message) {
    return conditions;
  }
  const lastTransitionTime = before?.status === wanted.status ? before.lastTransitionTime! : time;
  const made = { ...wanted, lastProbeTime: time, lastTransitionTime };
  return before ? conditions.map((one) => (one === before ? made : one)) : [...conditions, made];
}

export function withTarget(conditions: JobCondition[], outcome: Outcome, nowMs: number): JobCondition[] {
  const { reason, message } = outcome;
  return withCondition(conditions, { type: targets[outcome.type], status: 'True', reason, message }, nowMs);
}

export function withEnd(conditions: JobCondition[], outcome: Outcome, nowMs: number): JobCondition[] {
  return withCondition(conditions, { ...outcome, status: 'True' }, nowMs);
}

/** Undefined: no deadline runs. */
export function deadlineMs(spec: JobSpec, status: JobStatus): number | undefined {
  const start = parseTime(status.startTime);
  if (spec.activeDeadlineSeconds === undefined || start === undefined || spec.suspend) return undefined;
  return start + spec.activeDeadlineSeconds * 1000;
}

/** The first rule of the success policy that holds (KEP-3998). Ranges may span billions of indexes: they are never spread out. */
export function matchedSuccessRule(spec: JobSpec, completed: Set<number>): number | undefined {
  const at = (spec.successPolicy?.rules ?? []).findIndex(({ succeededCount, succeededIndexes }) => {
    if (succeededIndexes === undefined) return completed.size >= (succeededCount ?? Number.POSITIVE_INFINITY);
    const ranges = parseIndexList(succeededIndexes, spec.completions ?? 0);
    const isWanted = (index: number) => ranges.some(({ first, last }) => first <= index && index <= last);
    const wanted = ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0);
    return [...completed].filter(isWanted).length >= (succeededCount ?? wanted);
  });
  return at < 0 ? undefined : at;
}
