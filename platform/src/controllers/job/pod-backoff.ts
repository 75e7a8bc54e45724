/**
 * How long a Job waits before it replaces failed Pods: twice as long for every failure since the last success. Read from the Pods themselves, so
 * that a restarted server waits no less.
 */

import type { PodObject } from '../pods/pod-facts.ts';
import { failuresBefore, finishedMs, indexOf } from './job-facts.ts';

export interface BackoffOptions {
  firstMs: number;
  maxMs: number;
}

/** kube-controller-manager's. */
export const defaultBackoff: BackoffOptions = { firstMs: 10_000, maxMs: 600_000 };

/** The time from which new Pods may be made; 0: at once. */
export function retryAtMs(pods: PodObject[], options: BackoffOptions): number {
  const lastSuccess = latest(pods.filter((pod) => pod.status?.phase === 'Succeeded').map(finishedMs));
  const failures = pods.filter(hasBroken).map(finishedMs);
  const since = failures.filter((ms) => ms > lastSuccess);
  return since.length === 0 ? 0 : latest(since) + delayMs(since.length, options);
}

/** The same for one index where each has its own limit. */
export function indexRetryAtMs(pods: PodObject[], index: number, options: BackoffOptions): number {
  const failed = pods.filter((pod) => indexOf(pod) === index && hasBroken(pod));
  if (failed.length === 0) return 0;
  const failures = latest(failed.map(failuresBefore)) + 1;
  return latest(failed.map(finishedMs)) + delayMs(failures, options);
}

/** A Pod that somebody deleted says nothing of the work: it is replaced at once. */
const hasBroken = (pod: PodObject): boolean => pod.status?.phase === 'Failed';

/** Of any number of times: a Job may have a hundred thousand Pods, a call no such number of arguments. */
const latest = (times: number[]): number => times.reduce((top, ms) => Math.max(top, ms), 0);

function delayMs(failures: number, { firstMs, maxMs }: BackoffOptions): number {
  return Math.min(maxMs, firstMs * 2 ** Math.min(failures - 1, 30));
}
