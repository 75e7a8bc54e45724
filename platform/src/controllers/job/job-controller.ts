/**
 * Runs Jobs: makes their Pods, counts how they end, and says when the Job has. Owns the effects; what to do is decided in job-decision.ts.
 *
 * A key is a Job's uid, or a Pod's that no Job has any more. Nothing is decided on a copy that is behind the controller's own writes, and the status is written against the
 * version it was decided on, so that no end is counted twice whatever is slow or repeated.
 */
import { type KubeClient, resources } from '@sampan/api/client.ts';
import { isReason, messageOf } from '@sampan/api/errors.ts';
import { equalJson } from '@sampan/api/json.ts';
import { trackingFinalizer } from '@sampan/api/kinds/batch/job-labels.ts';
import type { ObjectReference } from 'kubernetes-types/core/v1.js';
import { createEventRecorder, type EventRecorder } from '../../base/event-recorder.ts';
import { WorkQueue } from '../../base/work-queue.ts';
import { Alarms } from '../alarms.ts';
import { type ControllerParts, unlessOutdated } from '../controller-options.ts';
import { Expectations } from '../expectations.ts';
import type { SharedInformer } from '../informer/shared-informer.ts';
import { claim } from '../pods/claim.ts';
import { controllerOf, type OwnerReference } from '../pods/controller-ref.ts';
import { selects } from '../pods/owner-keys.ts';
import type { PodObject } from '../pods/pod-facts.ts';
import { slowStart } from '../slow-start.ts';
import { decideJob, type JobDecision } from './job-decision.ts';
import { conditionOf, endOf, isTracked, type JobObject } from './job-facts.ts';
import { jobType, newJobPod } from './new-job-pod.ts';
import { type BackoffOptions, defaultBackoff } from './pod-backoff.ts';

export interface JobControllerOptions extends ControllerParts {
  /** Between a failure and the next try; kube-controller-manager's when absent. */
  backoff?: BackoffOptions;
}

/** Before the uid of a Pod that its Job has left behind (kubectl delete --cascade=orphan): nobody will count it. */
const strayPrefix = 'pod/';
const strategic = 'application/strategic-merge-patch+json';

export class JobController {
  readonly #options: JobControllerOptions;
  readonly #client: KubeClient;
  readonly #jobs: SharedInformer<JobObject>;
  readonly #pods: SharedInformer<PodObject>;
  readonly #queue: WorkQueue;
  readonly #alarms: Alarms;
  readonly #events: EventRecorder;
  readonly #podWrites = new Expectations();
  readonly #jobWrites = new Expectations();
  readonly #unsubscribe: (() => void)[] = [];

  constructor(options: JobControllerOptions) {
    this.#options = options;
    this.#client = options.client;
    this.#jobs = options.informers.of<JobObject>(resources.jobs);
    this.#pods = options.informers.of<PodObject>(resources.pods);
    this.#queue = new WorkQueue({ ...options, work: (uid) => this.#sync(uid) });
    this.#alarms = new Alarms(options.clock, (uid) => this.#queue.add(uid));
    this.#events = createEventRecorder({ ...options, component: 'job-controller' });
  }

  async start(): Promise<void> {
    await Promise.all([this.#jobs.start(), this.#pods.start()]);
    this.#unsubscribe.push(
      this.#jobs.subscribe(({ object }) => this.#queue.add(object.metadata?.uid ?? '')),
      this.#pods.subscribe(({ object, previous }) => {
        for (const pod of previous ? [object, previous] : [object]) {
          const owner = jobOf(pod);
          if (owner) this.#queue.add(owner.uid);
        }
        if (jobOf(object)) return;
        for (const job of this.#adopters(object)) this.#queue.add(job.metadata?.uid ?? '');
        if (isTracked(object)) this.#queue.add(strayPrefix + object.metadata?.uid);
      }),
    );
  }

  async close(): Promise<void> {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#alarms.close();
    await this.#queue.close();
    await this.#events.flush();
  }

  async #sync(key: string): Promise<void> {
    if (!key.startsWith(strayPrefix)) return this.#syncJob(key);
    const pod = this.#pods.byUid(key.slice(strayPrefix.length));
    if (pod && isTracked(pod) && !jobOf(pod) && this.#adopters(pod).length === 0) await this.#release(key, pod);
    this.#podWrites.forget(key);
  }

  /** Jobs under way that would take a Pod which nobody owns. */
  #adopters(pod: PodObject): JobObject[] {
    const jobs = this.#jobs.list(pod.metadata?.namespace);
    return jobs.filter((job) => !endOf(job) && !job.metadata?.deletionTimestamp && selects(job, pod));
  }

  async #claim(job: JobObject, owned: PodObject[]): Promise<PodObject[]> {
    if (endOf(job)) return owned;
    const pods = await claim<PodObject>({
      client: this.#client,
      ref: resources.pods,
      ownerRef: resources.jobs,
      type: jobType,
      owner: job,
      owned,
      orphans: this.#pods.orphans(job.metadata?.namespace ?? ''),
      selects: (pod) => selects(job, pod),
      finalizer: trackingFinalizer,
    });
    for (const pod of pods) if (!owned.includes(pod)) this.#podWrites.expect(job.metadata!.uid!, pod);
    return pods;
  }

  async #syncJob(uid: string): Promise<void> {
    const job = this.#jobs.byUid(uid);
    const owned = this.#pods.ownedBy(uid).filter((pod) => controllerOf(pod)?.uid === uid);
    if (!job) return this.#forget(uid, owned);
    const isBehind =
      !this.#podWrites.isSatisfied(uid, this.#pods.seen) || !this.#jobWrites.isSatisfied(uid, this.#jobs.seen);
    // The events that the copy is waiting for bring the key back.
    if (isBehind) return;
    const pods = await this.#claim(job, owned);
    const { clock, backoff = defaultBackoff } = this.#options;
    const decision = decideJob({ job, pods, nowMs: clock.now(), backoff });
    if (decision.wakeAtMs !== undefined) this.#alarms.set(uid, decision.wakeAtMs);
    if (decision.remove) return this.#remove(job);
    if (!(await this.#writeStatus(job, decision))) return;
    await this.#act(job, decision);
  }

  /** A Job that is gone counts no more: its Pods are not to wait for it. */
  async #forget(uid: string, pods: PodObject[]): Promise<void> {
    this.#podWrites.forget(uid);
    this.#jobWrites.forget(uid);
    await Promise.all(pods.filter(isTracked).map((pod) => this.#release(uid, pod)));
  }

  /** False when the Job has moved on meanwhile: its event brings the key back. */
  async #writeStatus(job: JobObject, { status }: JobDecision): Promise<boolean> {
    if (!status || equalJson(status, job.status)) return true;
    const written = await unlessOutdated(
      this.#client.update(resources.jobs, { ...job, status }, { subresource: 'status' }),
    );
    if (!written) return false;
    this.#jobWrites.expect(job.metadata!.uid!, written);
    this.#tellConditions(job, status);
    return true;
  }

  async #act(job: JobObject, { kill, discard, release, create }: JobDecision): Promise<void> {
    const uid = job.metadata!.uid!;
    const drop = async (pod: PodObject) => {
      if (isTracked(pod)) await this.#release(uid, pod);
      await this.#delete(job, pod);
    };
    await Promise.all([
      ...kill.map((pod) => this.#delete(job, pod)),
      ...discard.map(drop),
      ...release.map((pod) => this.#release(uid, pod)),
    ]);
    const { error } = await slowStart(create.length, async (i) => {
      const made = await this.#client.create(resources.pods, newJobPod(job, create[i]!));
      this.#podWrites.expect(uid, made);
      this.#events.event(about(job), 'Normal', 'SuccessfulCreate', `Created pod: ${made.metadata?.name}`);
    });
    if (error === undefined) return;
    // A namespace that ends takes no more Pods, and the Job goes with it.
    if (isReason(error, 'Forbidden') && messageOf(error).includes('being terminated')) return;
    this.#events.event(about(job), 'Warning', 'FailedCreate', `Error creating: ${messageOf(error)}`);
    throw error;
  }

  async #release(uid: string, pod: PodObject): Promise<void> {
    const patch = { metadata: { uid: pod.metadata?.uid, '$deleteFromPrimitiveList/finalizers': [trackingFinalizer] } };
    const { name = '', namespace } = pod.metadata ?? {};
    // Gone, or a namesake stands there now: nothing is to be released.
    const released = await unlessOutdated(
      this.#client.patch(resources.pods, name, patch, { namespace, type: strategic }),
    );
    if (released) this.#podWrites.expect(uid, released);
  }

  async #delete(job: JobObject, pod: PodObject): Promise<void> {
    const { name = '', namespace, uid } = pod.metadata ?? {};
    const gone = await unlessOutdated(this.#client.delete(resources.pods, name, { namespace, preconditions: { uid } }));
    if (!gone) return;
    this.#podWrites.expect(job.metadata!.uid!, gone);
    this.#events.event(about(job), 'Normal', 'SuccessfulDelete', `Deleted pod: ${name}`);
  }

  /** Its Pods are the garbage collector's. */
  async #remove(job: JobObject): Promise<void> {
    const { name = '', namespace, uid, resourceVersion } = job.metadata ?? {};
    const preconditions = { uid, resourceVersion };
    const options = { namespace, preconditions, propagationPolicy: 'Background' } as const;
    await unlessOutdated(this.#client.delete(resources.jobs, name, options));
  }

  #tellConditions(before: JobObject, status: NonNullable<JobObject['status']>): void {
    const tell = (type: 'Normal' | 'Warning', reason: string, message: string) =>
      this.#events.event(about(before), type, reason, message);
    const now = { ...before, status };
    const end = endOf(now);
    if (end && !endOf(before)) {
      if (end.type === 'Complete') tell('Normal', 'Completed', 'Job completed');
      else tell('Warning', end.reason ?? '', end.message ?? '');
    }
    const [was, is] = [before.status, status].map((one) => conditionOf(one?.conditions, 'Suspended') !== undefined);
    if (is && !was) tell('Normal', 'Suspended', 'Job suspended');
    if (was && !is) tell('Normal', 'Resumed', 'Job resumed');
  }
}

function jobOf(pod: PodObject): OwnerReference | undefined {
  const owner = controllerOf(pod);
  return owner?.kind === jobType.kind && owner.apiVersion === jobType.apiVersion ? owner : undefined;
}

function about({ metadata }: JobObject): ObjectReference {
  const { name, namespace, uid, resourceVersion } = metadata ?? {};
  return { ...jobType, name, namespace, uid, resourceVersion };
}
