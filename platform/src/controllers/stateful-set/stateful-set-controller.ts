/** Keeps the Pods of StatefulSets, and the history of their templates. What to do is decided in decide.ts and revisions.ts. */
import { type KubeClient, resources } from '@sampan/api/client.ts';
import { isReason, messageOf } from '@sampan/api/errors.ts';
import { equalJson } from '@sampan/api/json.ts';
import { createEventRecorder, type EventRecorder } from '../../base/event-recorder.ts';
import { WorkQueue } from '../../base/work-queue.ts';
import { type ControllerParts, keyOf, splitKey, unlessOutdated } from '../controller-options.ts';
import { Expectations, recheckMs } from '../expectations.ts';
import type { SharedInformer } from '../informer/shared-informer.ts';
import { claim } from '../pods/claim.ts';
import { isControlledBy } from '../pods/controller-ref.ts';
import { ownerKeys, selects } from '../pods/owner-keys.ts';
import { nextAvailableInMs, type PodObject } from '../pods/pod-facts.ts';
import { decideStatefulSet, type StatefulSetDecision, type StatefulSetView, statefulSetStatus } from './decide.ts';
import { ordinalOf, revisionNameOf } from './identity.ts';
import {
  decideRevision,
  outdatedRevisions,
  type RevisionObject,
  type StatefulSetObject,
  statefulSetType,
} from './revisions.ts';

const component = 'statefulset-controller';

export class StatefulSetController {
  readonly #parts: ControllerParts;
  readonly #client: KubeClient;
  readonly #sets: SharedInformer<StatefulSetObject>;
  readonly #pods: SharedInformer<PodObject>;
  readonly #revisions: SharedInformer<RevisionObject>;
  readonly #queue: WorkQueue;
  readonly #events: EventRecorder;
  readonly #expectedPods = new Expectations();
  readonly #expectedRevisions = new Expectations();

  constructor(parts: ControllerParts) {
    const { client, informers } = parts;
    this.#parts = parts;
    this.#client = client;
    this.#sets = informers.of(resources.statefulsets);
    this.#pods = informers.of(resources.pods);
    this.#revisions = informers.of(resources.controllerrevisions);
    this.#queue = new WorkQueue({ ...parts, work: (key) => this.sync(key), concurrency: 8 });
    this.#events = createEventRecorder({ ...parts, component });
  }

  async start(): Promise<void> {
    await Promise.all([this.#sets.start(), this.#pods.start(), this.#revisions.start()]);
    this.#sets.subscribe(({ object }) => this.#queue.add(keyOf(object)));
    this.#pods.subscribe((change) => {
      for (const key of ownerKeys(change, this.#sets)) this.#queue.add(key);
    });
    this.#revisions.subscribe((change) => {
      for (const key of ownerKeys(change, this.#sets)) this.#queue.add(key);
    });
  }

  async close(): Promise<void> {
    await this.#queue.close();
    await this.#events.flush();
  }

  /** One look at one set. */
  async sync(key: string): Promise<void> {
    const { namespace, name } = splitKey(key);
    const set = this.#sets.get(name, namespace);
    if (!set) {
      this.#expectedPods.forget(key);
      return this.#expectedRevisions.forget(key);
    }
    const seesPods = this.#expectedPods.isSatisfied(key, this.#pods.seen);
    const seesRevisions = this.#expectedRevisions.isSatisfied(key, this.#revisions.seen);
    if (!seesPods || !seesRevisions) return this.#queue.addAfter(key, recheckMs);
    const [pods, history] = await Promise.all([this.#claimPods(set), this.#claimRevisions(set)]);
    const update = await this.#settleRevision(key, set, history);
    if (!update) return;
    const current = history.find(({ metadata }) => metadata?.name === set.status?.currentRevision) ?? update;
    const nowMs = this.#parts.clock.now();
    const view = { set, pods, current, update, nowMs };
    const failure = await this.#act(key, set, decideStatefulSet(view));
    const status = statefulSetStatus(view);
    if (!equalJson(status, set.status)) {
      await unlessOutdated(this.#client.update(resources.statefulsets, { ...set, status }, { subresource: 'status' }));
    }
    await this.#forgetHistory(history, view);
    const waitMs = nextAvailableInMs(pods, set.spec?.minReadySeconds, nowMs);
    if (waitMs !== undefined) this.#queue.addAfter(key, waitMs);
    if (failure) throw failure;
  }

  #claimPods(owner: StatefulSetObject): Promise<PodObject[]> {
    return claim<PodObject>({
      client: this.#client,
      ref: resources.pods,
      ownerRef: resources.statefulsets,
      type: statefulSetType,
      owner,
      owned: this.#pods.ownedBy(owner.metadata?.uid ?? ''),
      orphans: this.#pods.orphans(owner.metadata?.namespace ?? ''),
      selects: (pod) => selects(owner, pod) && ordinalOf(owner, pod) !== undefined,
    });
  }

  #claimRevisions(owner: StatefulSetObject): Promise<RevisionObject[]> {
    return claim<RevisionObject>({
      client: this.#client,
      ref: resources.controllerrevisions,
      ownerRef: resources.statefulsets,
      type: statefulSetType,
      owner,
      owned: this.#revisions.ownedBy(owner.metadata?.uid ?? ''),
      orphans: this.#revisions.orphans(owner.metadata?.namespace ?? ''),
      selects: (revision) => selects(owner, revision),
    });
  }

  /** The revision of today's template; undefined when it has to be tried again. */
  async #settleRevision(
    key: string,
    set: StatefulSetObject,
    history: RevisionObject[],
  ): Promise<RevisionObject | undefined> {
    const { update, write } = decideRevision(set, history);
    if (write === 'nothing' || set.metadata?.deletionTimestamp) return update;
    try {
      const written =
        write === 'create'
          ? await this.#client.create<RevisionObject>(resources.controllerrevisions, update)
          : await this.#client.update<RevisionObject>(resources.controllerrevisions, update);
      this.#expectedRevisions.expect(key, written);
      return written;
    } catch (error) {
      if (isReason(error, 'Conflict', 'NotFound')) return undefined;
      if (!isReason(error, 'AlreadyExists')) throw error;
      return this.#nameIsTaken(set, update);
    }
  }

  async #nameIsTaken(set: StatefulSetObject, wanted: RevisionObject): Promise<RevisionObject | undefined> {
    const { name = '', namespace } = wanted.metadata ?? {};
    const ref = resources.controllerrevisions;
    const there = await unlessOutdated(this.#client.get<RevisionObject>(ref, name, namespace));
    if (there && isControlledBy(there, set) && equalJson(there.data, wanted.data)) return there;
    const status = { ...set.status, replicas: set.status?.replicas ?? 0 };
    const collisionCount = (status.collisionCount ?? 0) + 1;
    const next = { ...set, status: { ...status, collisionCount } };
    await unlessOutdated(this.#client.update(resources.statefulsets, next, { subresource: 'status' }));
    return undefined;
  }

  /** Returns the first error: the rest was tried nevertheless. */
  async #act(key: string, set: StatefulSetObject, { create, remove }: StatefulSetDecision): Promise<unknown> {
    const makes = create.map(async (pod) => {
      const { name } = pod.metadata ?? {};
      try {
        this.#expectedPods.expect(key, await this.#client.create(resources.pods, pod));
        this.#tell(
          set,
          'Normal',
          'SuccessfulCreate',
          `create Pod ${name} in StatefulSet ${set.metadata?.name} successful`,
        );
      } catch (error) {
        if (isReason(error, 'Forbidden') && error.message.includes('because it is being terminated')) return;
        const what = `create Pod ${name} in StatefulSet ${set.metadata?.name} failed error: ${messageOf(error)}`;
        this.#tell(set, 'Warning', 'FailedCreate', what);
        throw error;
      }
    });
    const ends = remove.map(async ({ metadata }) => {
      const { name = '', namespace, uid } = metadata ?? {};
      const options = { namespace, preconditions: { uid } };
      const gone = await unlessOutdated(this.#client.delete(resources.pods, name, options));
      if (!gone) return;
      this.#expectedPods.expect(key, gone);
      this.#tell(
        set,
        'Normal',
        'SuccessfulDelete',
        `delete Pod ${name} in StatefulSet ${set.metadata?.name} successful`,
      );
    });
    const results = await Promise.allSettled([...makes, ...ends]);
    return results.find((result) => result.status === 'rejected')?.reason;
  }

  async #forgetHistory(history: RevisionObject[], { set, pods, current, update }: StatefulSetView): Promise<void> {
    if (set.metadata?.deletionTimestamp) return;
    const used = [current, update].map(({ metadata }) => metadata?.name ?? '');
    const live = new Set([...pods.map(revisionNameOf), ...used]);
    for (const { metadata } of outdatedRevisions(set, history, live)) {
      const { name = '', namespace, uid } = metadata ?? {};
      const options = { namespace, preconditions: { uid } };
      await unlessOutdated(this.#client.delete(resources.controllerrevisions, name, options));
    }
  }

  #tell(set: StatefulSetObject, level: 'Normal' | 'Warning', reason: string, message: string): void {
    const { name, namespace, uid } = set.metadata ?? {};
    this.#events.event({ ...statefulSetType, name, namespace, uid }, level, reason, message);
  }
}
