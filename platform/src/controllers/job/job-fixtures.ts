/** Jobs and Pods for the tests of decisions, and a world that carries decisions out, as far as it is let. */
import { jobKind } from '@sampan/api/kinds/batch/job.ts';
import { trackingFinalizer } from '@sampan/api/kinds/batch/job-labels.ts';
import type { JobSpec } from 'kubernetes-types/batch/v1.js';
import { toTime } from '../../base/clock.ts';
import type { PodObject } from '../pods/pod-facts.ts';
import { decideJob, type JobDecision } from './job-decision.ts';
import type { JobObject } from './job-facts.ts';
import { newJobPod } from './new-job-pod.ts';

export const startMs = Date.parse('2024-01-01T00:00:00Z');

/** As the server stores it. */
function testJob(spec: Partial<JobSpec> = {}, status: JobObject['status'] = {}): JobObject {
  const template = { spec: { restartPolicy: 'Never', containers: [{ name: 'main', image: 'x' }] } };
  const job: JobObject = {
    metadata: { name: 'j', namespace: 'default', uid: 'job-uid', creationTimestamp: toTime(startMs) },
    spec: { template, ...structuredClone(spec) },
  };
  jobKind.applyDefaults(job);
  jobKind.prepareCreate(job);
  return { ...job, status };
}

export class JobWorld {
  job: JobObject;
  pods: PodObject[] = [];
  nowMs = startMs;
  #made = 0;

  constructor(spec: Partial<JobSpec> = {}) {
    this.job = testJob(spec);
  }

  decide(): JobDecision {
    const { job, pods, nowMs } = this;
    return decideJob({ job, pods, nowMs, backoff: { firstMs: 10_000, maxMs: 600_000 } });
  }

  /** Carries the decision out. After `writes` of them (default: all) nothing more is written: the controller was killed. */
  act(decision: JobDecision, writes = Number.POSITIVE_INFINITY): void {
    let left = writes;
    const steps: (() => void)[] = [];
    if (decision.status) steps.push(() => Object.assign(this.job, { status: structuredClone(decision.status) }));
    for (const pod of decision.kill) steps.push(() => this.#delete(pod));
    for (const pod of decision.discard)
      steps.push(
        () => this.#release(pod),
        () => this.#delete(pod),
      );
    for (const pod of decision.release) steps.push(() => this.#release(pod));
    for (const order of decision.create) {
      steps.push(() => {
        const pod = newJobPod(this.job, order);
        const name = `${pod.metadata!.generateName}${this.#made++}`;
        Object.assign(pod.metadata!, { name, uid: name, creationTimestamp: toTime(this.nowMs) });
        this.pods.push({ ...pod, spec: { ...pod.spec!, nodeName: 'n' }, status: { phase: 'Pending' } });
      });
    }
    for (const step of steps) if (left-- > 0) step();
  }

  /** Looks and acts until nothing changes any more. */
  settle(): JobDecision {
    for (let i = 0; i < 50; i++) {
      const before = JSON.stringify([this.job, this.pods]);
      const decision = this.decide();
      this.act(decision);
      if (JSON.stringify([this.job, this.pods]) === before) return decision;
    }
    throw new Error('the Job never comes to rest');
  }

  /** The Pod's containers end with `exitCode`. */
  end(pod: PodObject, exitCode = 0, more: Partial<NonNullable<PodObject['status']>> = {}): void {
    const terminated = { exitCode, finishedAt: toTime(this.nowMs), startedAt: toTime(startMs) };
    const state = { name: 'main', image: 'x', imageID: '', ready: false, restartCount: 0, state: { terminated } };
    const status = { phase: exitCode === 0 ? 'Succeeded' : 'Failed', containerStatuses: [state], ...more };
    this.pods = this.pods.map((one) => (one.metadata?.uid === pod.metadata?.uid ? { ...one, status } : one));
  }

  get active(): PodObject[] {
    return this.pods.filter(({ status, metadata }) => status?.phase === 'Pending' && !metadata?.deletionTimestamp);
  }

  /** Reasons of the conditions that are true. */
  get conditions(): string[] {
    const conditions = this.job.status?.conditions ?? [];
    return conditions.filter(({ status }) => status === 'True').map(({ type, reason }) => `${type}: ${reason}`);
  }

  #change(pod: PodObject, change: (metadata: NonNullable<PodObject['metadata']>) => void): void {
    const next = structuredClone(this.pods.find((one) => one.metadata?.uid === pod.metadata?.uid));
    if (!next) return;
    change(next.metadata!);
    const isGone = next.metadata!.deletionTimestamp && !next.metadata!.finalizers?.length;
    this.pods = this.pods.flatMap((one) => (one.metadata?.uid !== pod.metadata?.uid ? [one] : isGone ? [] : [next]));
  }

  #release(pod: PodObject): void {
    this.#change(pod, (metadata) => {
      metadata.finalizers = metadata.finalizers?.filter((one) => one !== trackingFinalizer);
    });
  }

  #delete(pod: PodObject): void {
    this.#change(pod, (metadata) => {
      Object.assign(metadata, { deletionTimestamp: toTime(this.nowMs), deletionGracePeriodSeconds: 0 });
    });
  }
}
