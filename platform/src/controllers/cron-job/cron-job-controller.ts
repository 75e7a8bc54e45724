/** Starts the Jobs of CronJobs when they are due and clears away old ones. Owns the effects; what to do is decided in cron-decision.ts. */
import { resources } from '@sampan/api/client.ts';
import { isReason, messageOf } from '@sampan/api/errors.ts';
import { equalJson } from '@sampan/api/json.ts';
import type { ObjectReference } from 'kubernetes-types/core/v1.js';
import { createEventRecorder, type EventRecorder } from '../../base/event-recorder.ts';
import { WorkQueue } from '../../base/work-queue.ts';
import { Alarms } from '../alarms.ts';
import { type ControllerParts, unlessOutdated } from '../controller-options.ts';
import { Expectations } from '../expectations.ts';
import type { SharedInformer } from '../informer/shared-informer.ts';
import type { JobObject } from '../job/job-facts.ts';
import { controllerOf } from '../pods/controller-ref.ts';
import { type CronDecision, type CronJobObject, cronJobType, decideCronJob, referenceTo } from './cron-decision.ts';

export class CronJobController {
  readonly #parts: ControllerParts;
  readonly #crons: SharedInformer<CronJobObject>;
  readonly #jobs: SharedInformer<JobObject>;
  readonly #queue: WorkQueue;
  readonly #alarms: Alarms;
  readonly #events: EventRecorder;
  readonly #jobWrites = new Expectations();
  readonly #cronWrites = new Expectations();

  constructor(parts: ControllerParts) {
    this.#parts = parts;
    this.#crons = parts.informers.of<CronJobObject>(resources.cronjobs);
    this.#jobs = parts.informers.of<JobObject>(resources.jobs);
    this.#queue = new WorkQueue({ ...parts, work: (uid) => this.#sync(uid) });
    this.#alarms = new Alarms(parts.clock, (uid) => this.#queue.add(uid));
    this.#events = createEventRecorder({ ...parts, component: 'cronjob-controller' });
  }

  async start(): Promise<void> {
    await Promise.all([this.#crons.start(), this.#jobs.start()]);
    this.#crons.subscribe(({ object }) => this.#queue.add(object.metadata?.uid ?? ''));
    this.#jobs.subscribe(({ object }) => {
      const owner = controllerOf(object);
      if (owner?.kind === cronJobType.kind) this.#queue.add(owner.uid);
    });
  }

  async close(): Promise<void> {
    this.#alarms.close();
    await this.#queue.close();
    await this.#events.flush();
  }

  /** One look at one CronJob, by its uid. */
  async #sync(uid: string): Promise<void> {
    const cron = this.#crons.byUid(uid);
    if (!cron) {
      this.#jobWrites.forget(uid);
      return this.#cronWrites.forget(uid);
    }
    const isBehind =
      !this.#jobWrites.isSatisfied(uid, this.#jobs.seen) || !this.#cronWrites.isSatisfied(uid, this.#crons.seen);
    if (isBehind) return;
    const jobs = this.#jobs.ownedBy(uid).filter((job) => controllerOf(job)?.uid === uid);
    const decision = decideCronJob(cron, jobs, this.#parts.clock.now());
    if (decision.wakeAtMs !== undefined) this.#alarms.set(uid, decision.wakeAtMs);
    for (const { type, reason, message } of decision.events) this.#events.event(about(cron), type, reason, message);
    await Promise.all([...decision.replace, ...decision.forget].map((job) => this.#delete(cron, job)));
    const status = await this.#start(cron, decision);
    if (equalJson(status, cron.status ?? {})) return;
    const write = this.#parts.client.update(resources.cronjobs, { ...cron, status }, { subresource: 'status' });
    const written = await unlessOutdated(write);
    if (written) this.#cronWrites.expect(uid, written);
  }

  /** The status with what was started in it. */
  async #start(cron: CronJobObject, { start, status, replace }: CronDecision): Promise<CronDecision['status']> {
    if (!start) return status;
    try {
      const made = await this.#parts.client.create(resources.jobs, start);
      this.#jobWrites.expect(cron.metadata!.uid!, made);
      this.#events.event(about(cron), 'Normal', 'SuccessfulCreate', `Created job ${made.metadata?.name}`);
      const kept = (status.active ?? []).filter(({ uid }) => !replace.some((job) => job.metadata?.uid === uid));
      return { ...status, active: [...kept, referenceTo(made)] };
    } catch (error) {
      // The copy was behind: it runs already. A stranger of the same name keeps this time from being started, but no later one.
      if (isReason(error, 'AlreadyExists')) return status;
      if (isReason(error, 'Forbidden') && messageOf(error).includes('being terminated')) return status;
      this.#events.event(about(cron), 'Warning', 'FailedCreate', `Error creating job: ${messageOf(error)}`);
      throw error;
    }
  }

  async #delete(cron: CronJobObject, job: JobObject): Promise<void> {
    const { name = '', namespace, uid } = job.metadata ?? {};
    const options = { namespace, preconditions: { uid }, propagationPolicy: 'Background' } as const;
    const gone = await unlessOutdated(this.#parts.client.delete(resources.jobs, name, options));
    if (!gone) return;
    this.#jobWrites.expect(cron.metadata!.uid!, gone);
    this.#events.event(about(cron), 'Normal', 'SuccessfulDelete', `Deleted job ${name}`);
  }
}

function about({ metadata }: CronJobObject): ObjectReference {
  const { name, namespace, uid, resourceVersion } = metadata ?? {};
  return { ...cronJobType, name, namespace, uid, resourceVersion };
}
