/** The Pod a Job makes, with what tells an Indexed one which part of the work is its own (KEP-2214). Pure. */
import {
  completionIndexKey,
  indexFailureCountKey,
  indexIgnoredFailureCountKey,
  trackingFinalizer,
} from '@sampan/api/kinds/batch/job-labels.ts';
import type { Container } from 'kubernetes-types/core/v1.js';
import { newPod } from '../pods/new-pod.ts';
import type { PodObject } from '../pods/pod-facts.ts';
import { isIndexed, type JobObject } from './job-facts.ts';
import type { NewPodOrder } from './job-plan.ts';

const indexVariable = 'JOB_COMPLETION_INDEX';
export const jobType = { apiVersion: 'batch/v1', kind: 'Job' };

export function newJobPod(job: JobObject, { index, failures, ignoredFailures }: NewPodOrder): PodObject {
  const pod = newPod(job.spec!.template, job, jobType);
  const metadata = pod.metadata!;
  metadata.finalizers = [...new Set([...(metadata.finalizers ?? []), trackingFinalizer])];
  if (index === undefined || !isIndexed(job.spec!)) return pod;
  const base = job.metadata?.name ?? '';
  metadata.generateName = `${base}-${index}-`;
  metadata.labels = { ...metadata.labels, [completionIndexKey]: String(index) };
  metadata.annotations = {
    ...metadata.annotations,
    [completionIndexKey]: String(index),
    ...(failures !== undefined && { [indexFailureCountKey]: String(failures) }),
    ...(ignoredFailures !== undefined && { [indexIgnoredFailureCountKey]: String(ignoredFailures) }),
  };
  pod.spec!.hostname = `${base}-${index}`;
  for (const container of [...(pod.spec!.initContainers ?? []), ...pod.spec!.containers]) tellIndex(container);
  return pod;
}

function tellIndex(container: Container): void {
  if (container.env?.some(({ name }) => name === indexVariable)) return;
  const fieldPath = `metadata.labels['${completionIndexKey}']`;
  container.env = [...(container.env ?? []), { name: indexVariable, valueFrom: { fieldRef: { fieldPath } } }];
}
