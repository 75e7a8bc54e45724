/** Defaults of a Job (pkg/apis/batch/v1/defaults.go) and what its strategy generates on create (pkg/registry/batch/job/strategy.go). */
import type { Job, JobSpec } from 'kubernetes-types/batch/v1.js';
import type { KubeObject } from '../../client.ts';
import { equalJson } from '../../json.ts';
import { applyPodTemplateDefaults } from '../pod/template.ts';
import { controllerUidLabel, jobNameLabel, legacyControllerUidLabel, legacyJobNameLabel } from './job-labels.ts';

const defaultBackoffLimit = 6;
const noBackoffLimit = 2_147_483_647;

export type JobObject = Job & KubeObject;

/** In place; idempotent. */
export function applyJobDefaults(job: JobObject): void {
  job.spec ??= { template: {} };
  applyJobSpecDefaults(job.spec);
  const labels = job.spec.template.metadata?.labels;
  const own = Object.keys(job.metadata?.labels ?? {}).length;
  if (labels && own === 0 && Object.keys(labels).length > 0) job.metadata = { ...job.metadata, labels: { ...labels } };
}

/** Also of a CronJob's template. */
export function applyJobSpecDefaults(spec: JobSpec): void {
  if (spec.completions === undefined && spec.parallelism === undefined) spec.completions = 1;
  spec.parallelism ??= 1;
  spec.backoffLimit ??= spec.backoffLimitPerIndex === undefined ? defaultBackoffLimit : noBackoffLimit;
  spec.completionMode ??= 'NonIndexed';
  spec.suspend ??= false;
  spec.manualSelector ??= false;
  spec.podReplacementPolicy ??= spec.podFailurePolicy ? 'Failed' : 'TerminatingOrFailed';
  for (const rule of spec.podFailurePolicy?.rules ?? []) {
    for (const pattern of rule.onPodConditions ?? []) pattern.status ||= 'True';
  }
  spec.template ??= {};
  applyPodTemplateDefaults(spec.template);
}

/** Status is the controller's, and the selector is made from the uid unless the user promised to choose a unique one. */
export function prepareJobCreate(job: JobObject): void {
  Object.assign(job.metadata!, { generation: 1 });
  job.status = {};
  if (job.spec!.manualSelector) return;
  // A Job without labels has those of its template, the generated ones among them: `-l job-name=x` finds it.
  const { labels = {} } = job.metadata!;
  const isLabelledByTemplate = equalJson(labels, job.spec!.template.metadata?.labels ?? {});
  generateSelector(job);
  if (isLabelledByTemplate) job.metadata!.labels = { ...job.spec!.template.metadata!.labels };
}

function generateSelector(job: JobObject): void {
  const { uid = '', name = '' } = job.metadata!;
  const spec = job.spec!;
  // A selector with the label in it is the user's doing: validation says what is wrong with it.
  if (spec.selector?.matchLabels?.[controllerUidLabel] !== undefined) return;
  spec.template.metadata = {
    ...spec.template.metadata,
    labels: {
      [legacyControllerUidLabel]: uid,
      [legacyJobNameLabel]: name,
      [controllerUidLabel]: uid,
      [jobNameLabel]: name,
      ...spec.template.metadata?.labels,
    },
  };
  spec.selector = { ...spec.selector, matchLabels: { ...spec.selector?.matchLabels, [controllerUidLabel]: uid } };
}
