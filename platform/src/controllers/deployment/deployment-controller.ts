/**
 * Rolls Deployments: makes, sizes and removes their ReplicaSets, one step a look. What the step is, decide.ts says.
 * Pods are the ReplicaSets' business; here they are only looked at, for Recreate waits until the old ones are gone.
 */
import { type KubeClient, resources } from '@sampan/api/client.ts';
import { isReason, messageOf } from '@sampan/api/errors.ts';
import { equalJson } from '@sampan/api/json.ts';
import type { DeploymentStatus } from 'kubernetes-types/apps/v1.js';
import { createEventRecorder, type EventRecorder } from '../../base/event-recorder.ts';
import { WorkQueue } from '../../base/work-queue.ts';
import { type ControllerParts, keyOf, splitKey, unlessOutdated } from '../controller-options.ts';
import { Expectations, recheckMs } from '../expectations.ts';
import type { Change, SharedInformer } from '../informer/shared-informer.ts';
import { claim } from '../pods/claim.ts';
import { controllerOf, isControlledBy } from '../pods/controller-ref.ts';
import { ownerKeys, selects } from '../pods/owner-keys.ts';
import { hasEnded, type PodObject } from '../pods/pod-facts.ts';
import type { ReplicaSetObject } from '../replica-set/decide.ts';
import { type DeploymentDecision, decideDeployment } from './decide.ts';
import { type DeploymentObject, deploymentType, replicasOf, revisionAnnotation, sameTemplate } from './replica-sets.ts';
import { deadlineInMs } from './status.ts';

const component = 'deployment-controller';

export class DeploymentController {
  readonly #parts: ControllerParts;
  readonly #client: KubeClient;
  readonly #deployments: SharedInformer<DeploymentObject>;
  readonly #sets: SharedInformer<ReplicaSetObject>;
  readonly #pods: SharedInformer<PodObject>;
  readonly #queue: WorkQueue;
  readonly #events: EventRecorder;
  readonly #expectations = new Expectations();

  constructor(parts: ControllerParts) {
    const { client, informers } = parts;
    this.#parts = parts;
    this.#client = client;
    this.#deployments = informers.of(resources.deployments);
    this.#sets = informers.of(resources.replicasets);
    this.#pods = informers.of(resources.pods);
    this.#queue = new WorkQueue({ ...parts, work: (key) => this.sync(key), concurrency: 8 });
    this.#events = createEventRecorder({ ...parts, component });
  }

  async start(): Promise<void> {
    await Promise.all([this.#deployments.start(), this.#sets.start(), this.#pods.start()]);
    this.#deployments.subscribe(({ object }) => this.#queue.add(keyOf(object)));
    this.#sets.subscribe((change) => {
      for (const key of ownerKeys(change, this.#deployments)) this.#queue.add(key);
    });
    this.#pods.subscribe((change) => this.#podChanged(change));
  }

  async close(): Promise<void> {
    await this.#queue.close();
    await this.#events.flush();
  }

  /** One look at one Deployment. */
  async sync(key: string): Promise<void> {
    const { namespace, name } = splitKey(key);
    const deployment = this.#deployments.get(name, namespace);
    if (!deployment) return this.#expectations.forget(key);
    if (!this.#expectations.isSatisfied(key, this.#sets.seen)) return this.#queue.addAfter(key, recheckMs);
    const sets = await this.#claim(deployment);
    const pods = sets.flatMap((set) => this.#pods.ownedBy(set.metadata?.uid ?? ''));
    const nowMs = this.#parts.clock.now();
    const decision = decideDeployment({ deployment, sets, pods, nowMs });
    const failure = await this.#act(key, deployment, decision);
    await this.#tellStatus(deployment, { ...decision, status: failure?.status ?? decision.status });
    if (failure?.error) throw failure.error;
    const waitMs = deadlineInMs(deployment, decision.status, nowMs);
    if (waitMs !== undefined) this.#queue.addAfter(key, waitMs);
  }

  /** Only Recreate waits for Pods. */
  #podChanged({ type, object }: Change<PodObject>): void {
    if (type === 'set' && !hasEnded(object)) return;
    const set = this.#sets.byUid(controllerOf(object)?.uid ?? '');
    const deployment = set && this.#deployments.byUid(controllerOf(set)?.uid ?? '');
    if (deployment?.spec?.strategy?.type === 'Recreate') this.#queue.add(keyOf(deployment));
  }

  #claim(owner: DeploymentObject): Promise<ReplicaSetObject[]> {
    return claim<ReplicaSetObject>({
      client: this.#client,
      ref: resources.replicasets,
      ownerRef: resources.deployments,
      type: deploymentType,
      owner,
      owned: this.#sets.ownedBy(owner.metadata?.uid ?? ''),
      orphans: this.#sets.orphans(owner.metadata?.namespace ?? ''),
      selects: (set) => selects(owner, set),
    });
  }

  /** Returns the status to tell when the decision could not be carried out. */
  async #act(
    key: string,
    deployment: DeploymentObject,
    { create, update, remove, status }: DeploymentDecision,
  ): Promise<{ status: DeploymentStatus; error?: unknown } | undefined> {
    if (create) return this.#create(key, deployment, create, status);
    for (const set of update) {
      const before = this.#sets.byUid(set.metadata?.uid ?? '');
      const written = await unlessOutdated(this.#client.update(resources.replicasets, set));
      if (!written) continue;
      this.#expectations.expect(key, written);
      if (before) this.#tellScaled(deployment, set, replicasOf(before));
    }
    for (const { metadata } of remove) {
      const { name = '', namespace, uid } = metadata ?? {};
      const options = { namespace, preconditions: { uid } };
      const gone = await unlessOutdated(this.#client.delete(resources.replicasets, name, options));
      if (gone) this.#expectations.expect(key, gone);
    }
    return undefined;
  }

  async #create(
    key: string,
    deployment: DeploymentObject,
    set: ReplicaSetObject,
    status: DeploymentStatus,
  ): Promise<{ status: DeploymentStatus; error?: unknown } | undefined> {
    try {
      this.#expectations.expect(key, await this.#client.create(resources.replicasets, set));
      this.#tellScaled(deployment, set, 0);
      return undefined;
    } catch (error) {
      if (isReason(error, 'AlreadyExists')) return this.#nameIsTaken(deployment, set);
      if (isReason(error, 'Forbidden') && error.message.includes('because it is being terminated')) return undefined;
      const message = `Failed to create new replica set "${set.metadata?.name}": ${messageOf(error)}`;
      this.#tell(deployment, 'Warning', 'ReplicaSetCreateError', message);
      const conditions = (status.conditions ?? []).map((condition) =>
        condition.reason === 'NewReplicaSetCreated'
          ? { ...condition, status: 'False', reason: 'ReplicaSetCreateError', message }
          : condition,
      );
      return { status: { ...status, conditions }, error };
    }
  }

  /** By ourselves, and the watch is behind; or by something else whose hash is the same: then the next hash is another. */
  async #nameIsTaken(
    deployment: DeploymentObject,
    { metadata }: ReplicaSetObject,
  ): Promise<{ status: DeploymentStatus } | undefined> {
    const { name = '', namespace } = metadata ?? {};
    const there = await unlessOutdated(this.#client.get<ReplicaSetObject>(resources.replicasets, name, namespace));
    this.#queue.addAfter(keyOf(deployment), 100);
    if (!there || (isControlledBy(there, deployment) && sameTemplate(deployment, there))) return undefined;
    const collisionCount = (deployment.status?.collisionCount ?? 0) + 1;
    return { status: { ...deployment.status, collisionCount } };
  }

  async #tellStatus(deployment: DeploymentObject, { status, revision }: DeploymentDecision): Promise<void> {
    const before = deployment.metadata?.annotations ?? {};
    const annotations = revision > 0n ? { ...before, [revisionAnnotation]: String(revision) } : before;
    if (equalJson(status, deployment.status) && equalJson(annotations, before)) return;
    const metadata = { ...deployment.metadata, annotations };
    await unlessOutdated(
      this.#client.update(resources.deployments, { ...deployment, metadata, status }, { subresource: 'status' }),
    );
  }

  #tellScaled(deployment: DeploymentObject, set: ReplicaSetObject, from: number): void {
    const to = replicasOf(set);
    if (to === from) return;
    const message = `Scaled ${to > from ? 'up' : 'down'} replica set ${set.metadata?.name} from ${from} to ${to}`;
    this.#tell(deployment, 'Normal', 'ScalingReplicaSet', message);
  }

  #tell(deployment: DeploymentObject, level: 'Normal' | 'Warning', reason: string, message: string): void {
    const { name, namespace, uid } = deployment.metadata ?? {};
    this.#events.event({ ...deploymentType, name, namespace, uid }, level, reason, message);
  }
}
