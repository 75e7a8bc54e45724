/** The Job kind: work that ends. Its parts stand in the files beside. */
import type { Job } from 'kubernetes-types/batch/v1.js';
import { resources } from '../../client.ts';
import { formatLabelSelector } from '../../selectors/label-selector.ts';
import { humanDuration, parseTime } from '../../time.ts';
import { ageCell, ageColumn, column, nameCell, nameColumn } from '../columns.ts';
import { bumpGeneration, defineKind, splitSpecAndStatus } from '../define.ts';
import { containerCells } from './container-cells.ts';
import { applyJobDefaults, type JobObject, prepareJobCreate } from './job-defaults.ts';
import { validateJob, validateJobUpdate } from './job-validation.ts';

export const jobKind = defineKind<JobObject>({
  ref: resources.jobs,
  kind: 'Job',
  categories: ['all'],
  subresources: ['status'],
  orphansByDefault: true,
  selectableFields: { 'status.successful': (job) => String(job.status?.succeeded ?? 0) },
  columns: [
    nameColumn,
    column('Status', 'What the Job is doing, or how it ended.'),
    column('Completions', 'Pods that succeeded, of how many.'),
    column('Duration', 'Time the Job took, or has taken so far.'),
    ageColumn,
    column('Containers', 'Names of the containers.', { wide: true }),
    column('Images', 'Images of the containers.', { wide: true }),
    column('Selector', 'Which Pods are its own.', { wide: true }),
  ],
  row: (job, nowMs) => [
    nameCell(job),
    statusWord(job),
    completionsCell(job),
    durationCell(job, nowMs),
    ageCell(job, nowMs),
    ...containerCells(job.spec?.template),
    formatLabelSelector(job.spec?.selector ?? {}),
  ],
  defaults: applyJobDefaults,
  prepareCreate: prepareJobCreate,
  prepareUpdate(job, old, target) {
    splitSpecAndStatus(job, old, target);
    bumpGeneration(job, old);
  },
  validate: validateJob,
  validateUpdate: validateJobUpdate,
});

function hasCondition(job: Job, type: string): boolean {
  return job.status?.conditions?.some((one) => one.type === type && one.status === 'True') ?? false;
}

function statusWord(job: JobObject): string {
  if (hasCondition(job, 'Complete')) return 'Complete';
  if (hasCondition(job, 'Failed')) return 'Failed';
  if (job.metadata?.deletionTimestamp) return 'Terminating';
  const words = ['Suspended', 'FailureTarget', 'SuccessCriteriaMet'];
  return words.find((type) => hasCondition(job, type)) ?? 'Running';
}

function completionsCell({ spec, status }: JobObject): string {
  const succeeded = status?.succeeded ?? 0;
  if (spec?.completions !== undefined) return `${succeeded}/${spec.completions}`;
  const parallelism = spec?.parallelism ?? 0;
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`;
}

function durationCell({ status }: JobObject, nowMs: number): string {
  const start = parseTime(status?.startTime);
  if (start === undefined) return '';
  return humanDuration((parseTime(status?.completionTime) ?? nowMs) - start);
}
