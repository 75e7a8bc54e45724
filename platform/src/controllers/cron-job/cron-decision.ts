/**
 * What is to be done about a CronJob now: pure. Owns which time is due, whether the last run stands in its way, and which finished Jobs are kept.
 * A time that was missed is made up for once, however many there were, unless it is older than startingDeadlineSeconds.
 */
import type { KubeObject } from '@sampan/api/client.ts';
import { isTimeZone, lastTime, nextTime, zonedTime } from '@sampan/api/kinds/batch/cron-next.ts';
import { type CronSchedule, parseCron } from '@sampan/api/kinds/batch/cron-schedule.ts';
import { scheduledTimeKey } from '@sampan/api/kinds/batch/job-labels.ts';
import { parseTime } from '@sampan/api/time.ts';
import type { CronJob, CronJobStatus } from 'kubernetes-types/batch/v1.js';
import { toTime } from '../../base/clock.ts';
import { endOf, type JobObject } from '../job/job-facts.ts';
import { controllerRefTo } from '../pods/controller-ref.ts';

export type CronJobObject = CronJob & KubeObject;

export interface Told {
  type: 'Normal' | 'Warning';
  reason: string;
  message: string;
}

export interface CronDecision {
  /** Deleted before a new one starts: concurrencyPolicy Replace. */
  replace: JobObject[];
  start?: JobObject;
  /** Beyond the history limits. */
  forget: JobObject[];
  status: CronJobStatus;
  events: Told[];
  /** The next time it is due. */
  wakeAtMs?: number;
}

export const cronJobType = { apiVersion: 'batch/v1', kind: 'CronJob' };
/** kubectl create job --from marks its Jobs so: they belong to the CronJob and run beside it. */
const manualKey = 'cronjob.kubernetes.io/instantiate';
const manyMissed = 100;

/** `jobs`: those the CronJob controls. */
export function decideCronJob(cron: CronJobObject, jobs: JobObject[], nowMs: number): CronDecision {
  const decision: CronDecision = {
    replace: [],
    forget: beyondHistory(cron, jobs),
    status: statusOf(cron, jobs),
    events: [],
  };
  if (cron.metadata?.deletionTimestamp || cron.spec!.suspend) return decision;
  const schedule = scheduleOf(cron, decision);
  if (!schedule) return decision;
  const { timeZone } = cron.spec!;
  const wakeAtMs = nextTime(schedule, nowMs, timeZone);
  if (wakeAtMs !== undefined) decision.wakeAtMs = wakeAtMs;
  const { lastMs: dueMs, missed } = lastTime(schedule, { afterMs: earliestMs(cron, nowMs), untilMs: nowMs, timeZone });
  if (dueMs === undefined) return decision;
  if (missed > manyMissed) {
    const message = 'too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew';
    decision.events.push({ type: 'Warning', reason: 'TooManyMissedTimes', message });
  }
  return startAt(cron, jobs, { decision, dueMs });
}

function startAt(
  cron: CronJobObject,
  jobs: JobObject[],
  { decision, dueMs }: { decision: CronDecision; dueMs: number },
): CronDecision {
  const job = newJob(cron, dueMs);
  const status = { ...decision.status, lastScheduleTime: toTime(dueMs) };
  // Made before a crash, which lost only the note of it.
  if (jobs.some(({ metadata }) => metadata?.name === job.metadata?.name)) return { ...decision, status };
  const running = jobs.filter(isRunning);
  const policy = cron.spec!.concurrencyPolicy;
  if (policy === 'Forbid' && running.length > 0) {
    const message = 'Not starting job because prior execution is running and concurrency policy is Forbid';
    return { ...decision, events: [...decision.events, { type: 'Normal', reason: 'JobAlreadyActive', message }] };
  }
  return { ...decision, status, start: job, replace: policy === 'Replace' ? running : [] };
}

/** Undefined when it cannot be read: it was valid once, so people are told. */
function scheduleOf({ spec }: CronJobObject, { events }: CronDecision): CronSchedule | undefined {
  const { schedule, timeZone } = spec!;
  if (timeZone !== undefined && !isTimeZone(timeZone)) {
    events.push({ type: 'Warning', reason: 'UnknownTimeZone', message: `invalid timeZone: ${timeZone}` });
    return undefined;
  }
  try {
    return parseCron(schedule);
  } catch (error) {
    const message = `unparseable schedule: "${schedule}" : ${(error as Error).message}`;
    events.push({ type: 'Warning', reason: 'UnparseableSchedule', message });
    return undefined;
  }
}

/** What was due before is not made up for. */
function earliestMs({ metadata, spec, status }: CronJobObject, nowMs: number): number {
  const since = parseTime(status?.lastScheduleTime) ?? parseTime(metadata?.creationTimestamp) ?? nowMs;
  const { startingDeadlineSeconds: deadline } = spec!;
  return deadline === undefined ? since : Math.max(since, nowMs - deadline * 1000);
}

function isRunning(job: JobObject): boolean {
  return !endOf(job) && !job.metadata?.deletionTimestamp && job.metadata?.annotations?.[manualKey] === undefined;
}

/** Its name tells the minute, so that the same time never starts twice. */
function newJob(cron: CronJobObject, dueMs: number): JobObject {
  const { metadata, spec } = cron.spec!.jobTemplate;
  const { name = '', namespace } = cron.metadata ?? {};
  return structuredClone({
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: `${name}-${Math.floor(dueMs / 60_000)}`,
      namespace,
      ...(metadata?.labels && { labels: metadata.labels }),
      annotations: { ...metadata?.annotations, [scheduledTimeKey]: zonedTime(dueMs, cron.spec!.timeZone) },
      ownerReferences: [controllerRefTo(cron, cronJobType)],
    },
    spec,
  }) as JobObject;
}

function statusOf(cron: CronJobObject, jobs: JobObject[]): CronJobStatus {
  const { active: before = [], ...rest } = cron.status ?? {};
  const active = jobs
    .filter((job) => !endOf(job) && job.metadata?.annotations?.[manualKey] === undefined)
    .map((job) => before.find(({ uid }) => uid === job.metadata?.uid) ?? referenceTo(job));
  const ends = jobs.map(({ status }) => parseTime(status?.completionTime)).filter((ms) => ms !== undefined);
  const lastSuccessMs = Math.max(parseTime(rest.lastSuccessfulTime) ?? 0, ...ends);
  return {
    ...(active.length > 0 && { active }),
    ...rest,
    ...(lastSuccessMs > 0 && { lastSuccessfulTime: toTime(lastSuccessMs) }),
  };
}

export function referenceTo({ metadata }: JobObject) {
  const { name, namespace, uid, resourceVersion } = metadata ?? {};
  return { apiVersion: 'batch/v1', kind: 'Job', name, namespace, uid, resourceVersion };
}

function beyondHistory({ spec }: CronJobObject, jobs: JobObject[]): JobObject[] {
  const { successfulJobsHistoryLimit: good = 3, failedJobsHistoryLimit: bad = 1 } = spec!;
  const oldestFirst = jobs
    .filter(({ metadata }) => !metadata?.deletionTimestamp)
    .sort((a, b) => startedMs(a) - startedMs(b));
  const beyond = (type: string, limit: number) => {
    const ended = oldestFirst.filter((job) => endOf(job)?.type === type);
    return ended.slice(0, Math.max(0, ended.length - limit));
  };
  return [...beyond('Complete', good), ...beyond('Failed', bad)];
}

function startedMs({ metadata, status }: JobObject): number {
  return parseTime(status?.startTime) ?? parseTime(metadata?.creationTimestamp) ?? 0;
}
