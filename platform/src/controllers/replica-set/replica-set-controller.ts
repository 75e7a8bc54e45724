/**
 * Keeps as many Pods of each ReplicaSet as it asks for. Owns adoption, creation and deletion of its Pods, and its status.
 * What to do is decided in decide.ts; this file looks and acts.
 */
import { type KubeClient, resources } from '@sampan/api/client.ts';
import { isReason, messageOf } from '@sampan/api/errors.ts';
import { equalJson } from '@sampan/api/json.ts';
import { createEventRecorder, type EventRecorder } from '../../base/event-recorder.ts';
import { WorkQueue } from '../../base/work-queue.ts';
import { type ControllerParts, keyOf, splitKey, unlessOutdated } from '../controller-options.ts';
import { Expectations, recheckMs } from '../expectations.ts';
import type { SharedInformer } from '../informer/shared-informer.ts';
import { claim } from '../pods/claim.ts';
import { controllerOf } from '../pods/controller-ref.ts';
import { newPod } from '../pods/new-pod.ts';
import { ownerKeys, selects } from '../pods/owner-keys.ts';
import { nextAvailableInMs, type PodObject } from '../pods/pod-facts.ts';
import { slowStart } from '../slow-start.ts';
import { decideReplicas, type ReplicaSetObject, replicaSetStatus } from './decide.ts';

const type = { apiVersion: 'apps/v1', kind: 'ReplicaSet' };
const component = 'replicaset-controller';

type Failure = { verb: 'create' | 'delete'; error: unknown };

export class ReplicaSetController {
  readonly #parts: ControllerParts;
  readonly #client: KubeClient;
  readonly #sets: SharedInformer<ReplicaSetObject>;
  readonly #pods: SharedInformer<PodObject>;
  readonly #queue: WorkQueue;
  readonly #events: EventRecorder;
  readonly #expectations = new Expectations();

  constructor(parts: ControllerParts) {
    this.#parts = parts;
    this.#client = parts.client;
    this.#sets = parts.informers.of(resources.replicasets);
    this.#pods = parts.informers.of(resources.pods);
    this.#queue = new WorkQueue({ ...parts, work: (key) => this.sync(key), concurrency: 8 });
    this.#events = createEventRecorder({ ...parts, component });
  }

  async start(): Promise<void> {
    await Promise.all([this.#sets.start(), this.#pods.start()]);
    this.#sets.subscribe(({ object }) => this.#queue.add(keyOf(object)));
    this.#pods.subscribe((change) => {
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
    if (!set) return this.#expectations.forget(key);
    // Its own writes first have to come back.
    if (!this.#expectations.isSatisfied(key, this.#pods.seen)) return this.#queue.addAfter(key, recheckMs);
    const pods = await this.#claim(set);
    const nowMs = this.#parts.clock.now();
    const { create, remove } = decideReplicas({ set, pods, related: this.#related(set), nowMs });
    const failure = (await this.#create(key, set, create)) ?? (await this.#remove(key, set, remove));
    // What was given up is not counted, though the watch has yet to say so: rollouts build on these numbers.
    const status = replicaSetStatus({ set, pods: pods.filter((pod) => !remove.includes(pod)), nowMs }, failure);
    if (!equalJson(status, set.status)) {
      await unlessOutdated(this.#client.update(resources.replicasets, { ...set, status }, { subresource: 'status' }));
    }
    const waitMs = nextAvailableInMs(pods, set.spec?.minReadySeconds, nowMs);
    if (waitMs !== undefined) this.#queue.addAfter(key, waitMs);
    if (failure) throw failure.error;
  }

  #claim(owner: ReplicaSetObject): Promise<PodObject[]> {
    return claim<PodObject>({
      client: this.#client,
      ref: resources.pods,
      ownerRef: resources.replicasets,
      type,
      owner,
      owned: this.#pods.ownedBy(owner.metadata?.uid ?? ''),
      orphans: this.#pods.orphans(owner.metadata?.namespace ?? ''),
      selects: (pod) => selects(owner, pod),
    });
  }

  #related(set: ReplicaSetObject): PodObject[] {
    const deployment = controllerOf(set)?.uid;
    const siblings = deployment ? this.#sets.ownedBy(deployment) : [set];
    return siblings.flatMap((sibling) => this.#pods.ownedBy(sibling.metadata?.uid ?? ''));
  }

  async #create(key: string, set: ReplicaSetObject, count: number): Promise<Failure | undefined> {
    const { error } = await slowStart(count, async () => {
      const pod = await this.#client.create(resources.pods, newPod(set.spec?.template, set, type));
      this.#expectations.expect(key, pod);
      this.#tell(set, 'Normal', 'SuccessfulCreate', `Created pod: ${pod.metadata?.name}`);
    });
    if (error === undefined || isEnding(error)) return undefined;
    this.#tell(set, 'Warning', 'FailedCreate', `Error creating: ${messageOf(error)}`);
    return { verb: 'create', error };
  }

  async #remove(key: string, set: ReplicaSetObject, pods: PodObject[]): Promise<Failure | undefined> {
    const results = await Promise.allSettled(
      pods.map(async ({ metadata }) => {
        const { name = '', namespace, uid } = metadata ?? {};
        const options = { namespace, preconditions: { uid } };
        const gone = await unlessOutdated(this.#client.delete(resources.pods, name, options));
        if (!gone) return;
        this.#expectations.expect(key, gone);
        this.#tell(set, 'Normal', 'SuccessfulDelete', `Deleted pod: ${name}`);
      }),
    );
    const failed = results.find((result) => result.status === 'rejected');
    if (!failed) return undefined;
    this.#tell(set, 'Warning', 'FailedDelete', `Error deleting: ${messageOf(failed.reason)}`);
    return { verb: 'delete', error: failed.reason };
  }

  #tell(set: ReplicaSetObject, level: 'Normal' | 'Warning', reason: string, message: string): void {
    const { name, namespace, uid } = set.metadata ?? {};
    this.#events.event({ ...type, name, namespace, uid }, level, reason, message);
  }
}

/** A namespace on its way out takes no new Pods, and that is no failure. */
function isEnding(error: unknown): boolean {
  return isReason(error, 'Forbidden') && error.message.includes('because it is being terminated');
}
