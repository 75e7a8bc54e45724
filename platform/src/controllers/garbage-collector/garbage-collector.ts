/**
 * Deletes what has lost its owners, and carries out foreground and orphaning deletion (Kubernetes' garbage collector). Works on every
 * kind it is given; what to do is decided in decide.ts. It believes an owner gone only when the API itself says so, for its own
 * view may be behind.
 */
import type { KubeClient, KubeObject, ResourceRef } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import { equalJson } from '@sampan/api/json.ts';
import { WorkQueue } from '../../base/work-queue.ts';
import { type ControllerParts, unlessOutdated } from '../controller-options.ts';
import type { Change } from '../informer/shared-informer.ts';
import type { OwnerReference } from '../pods/controller-ref.ts';
import {
  blocking,
  foregroundFinalizer,
  isOrphaning,
  isWaiting,
  judge,
  type OwnerState,
  orphanFinalizer,
  type Verdict,
} from './decide.ts';
import { type GarbageKind, type GraphNode, KindGraph } from './kind-graph.ts';

/** Uids that are known to be gone: they never come back. */
const maxAbsent = 4096;
const merge = 'application/merge-patch+json';

export class GarbageCollector {
  readonly #client: KubeClient;
  readonly #queue: WorkQueue;
  readonly #graph: KindGraph;
  readonly #first: readonly GarbageKind[];
  readonly #absent = new Set<string>();

  /** `kinds`: those that may own or be owned. */
  constructor(parts: ControllerParts & { kinds: readonly GarbageKind[] }) {
    this.#client = parts.client;
    this.#first = parts.kinds;
    this.#queue = new WorkQueue({ ...parts, work: (key) => this.#look(key), concurrency: 16 });
    this.#graph = new KindGraph(parts.informers, (kind, change) => this.#changed(kind, change));
  }

  start(): Promise<void> {
    return this.setKinds(this.#first);
  }

  /** For kinds that come and go while the server runs. */
  async setKinds(kinds: readonly GarbageKind[]): Promise<void> {
    await this.#graph.setKinds(kinds);
    // Owners of kinds that were not served could not be looked for.
    for (const node of this.#graph.owned()) this.#add(node);
  }

  async close(): Promise<void> {
    await this.#queue.close();
  }

  #changed({ ref }: GarbageKind, { type, object, previous }: Change<KubeObject>): void {
    const owners = object.metadata?.ownerReferences ?? [];
    if (type === 'removed') {
      for (const dependent of this.#graph.dependents(object)) this.#add(dependent);
      this.#wakeWaiting(owners);
      return;
    }
    const isGoing = isWaiting(object) || isOrphaning(object);
    if (isGoing || (owners.length > 0 && isNews(object, previous))) this.#add({ ref, object });
    if (isWaiting(object) && !(previous && isWaiting(previous))) {
      for (const dependent of this.#graph.dependents(object)) this.#add(dependent);
    }
    const before = previous?.metadata?.ownerReferences ?? [];
    this.#wakeWaiting(before.filter(({ uid }) => !owners.some((one) => one.uid === uid && one.blockOwnerDeletion)));
  }

  /** Owners that wait for dependents have one less to wait for. */
  #wakeWaiting(references: OwnerReference[]): void {
    for (const reference of references) {
      const kind = this.#graph.kindOf(reference);
      const owner = kind && this.#graph.byUid(kind, reference.uid);
      if (owner && isWaiting(owner)) this.#add({ ref: kind.ref, object: owner });
    }
  }

  #add({ ref, object: { metadata } }: GraphNode): void {
    this.#queue.add(JSON.stringify([ref, metadata?.namespace ?? '', metadata?.name ?? '']));
  }

  async #look(key: string): Promise<void> {
    const [ref, namespace, name] = JSON.parse(key) as [ResourceRef, string, string];
    const object = this.#graph.get(ref, name, namespace);
    if (!object) return;
    const node = { ref, object };
    if (isOrphaning(object)) return this.#orphan(node);
    if (isWaiting(object)) return this.#waitForDependents(node);
    // The copy first: nearly always all owners are there, and that costs nothing.
    if ((await this.#judge(node)).do === 'nothing') return;
    const latest = await unlessGone(this.#client.get<KubeObject>(ref, name, namespace || undefined));
    if (!latest || latest.metadata?.uid !== object.metadata?.uid) return;
    await this.#carryOut({ ref, object: latest }, await this.#judge({ ref, object: latest }));
  }

  async #judge({ ref, object }: GraphNode): Promise<Verdict> {
    const references = object.metadata?.ownerReferences ?? [];
    const owners = await Promise.all(references.map((one) => this.#stateOf(one, ref, object)));
    const dependents = () => this.#graph.dependents(object).map((dependent) => dependent.object);
    return judge({ object, owners, dependents });
  }

  async #stateOf(reference: OwnerReference, ref: ResourceRef, { metadata }: KubeObject): Promise<OwnerState> {
    if (this.#absent.has(reference.uid)) return 'absent';
    const kind = this.#graph.kindOf(reference);
    // A kind that is not served may be served again; and what lives nowhere in particular cannot belong to a namespace's object.
    if (!kind || (kind.ref.namespaced && !ref.namespaced)) return 'solid';
    const namespace = kind.ref.namespaced ? metadata?.namespace : undefined;
    const known = this.#graph.byUid(kind, reference.uid);
    const isThere = known?.metadata?.name === reference.name && known.metadata.namespace === namespace;
    const owner = isThere ? known : await unlessGone(this.#client.get<KubeObject>(kind.ref, reference.name, namespace));
    if (owner?.metadata?.uid === reference.uid) return isWaiting(owner) ? 'waiting' : 'solid';
    if (this.#absent.size >= maxAbsent) this.#absent.clear();
    // A namesake elsewhere does not make the reference true, but it is not gone either.
    if (!known) this.#absent.add(reference.uid);
    return 'absent';
  }

  async #carryOut(node: GraphNode, verdict: Verdict): Promise<void> {
    const { uid, resourceVersion, name = '', namespace } = node.object.metadata ?? {};
    switch (verdict.do) {
      case 'nothing':
        return;
      case 'drop-references':
        return this.#write(node, { ownerReferences: verdict.keep });
      case 'unblock':
        return this.#write(node, { ownerReferences: verdict.references });
      case 'delete': {
        // The version too: an owner that was added meanwhile changes everything.
        const preconditions = { uid, resourceVersion };
        const options = { namespace, preconditions, propagationPolicy: verdict.policy };
        await unlessGone(this.#client.delete(node.ref, name, options));
      }
    }
  }

  async #orphan(node: GraphNode): Promise<void> {
    const { uid } = node.object.metadata ?? {};
    await Promise.all(
      this.#graph.dependents(node.object).map(async ({ ref, object }) => {
        const { name = '', namespace } = object.metadata ?? {};
        const latest = await unlessGone(this.#client.get<KubeObject>(ref, name, namespace));
        const references = latest?.metadata?.ownerReferences ?? [];
        const keep = references.filter((one) => one.uid !== uid);
        if (latest && keep.length < references.length)
          await this.#write({ ref, object: latest }, { ownerReferences: keep });
      }),
    );
    await this.#dropFinalizer(node, orphanFinalizer);
  }

  async #waitForDependents(node: GraphNode): Promise<void> {
    const dependents = this.#graph.dependents(node.object);
    if (
      blocking(
        node.object,
        dependents.map(({ object }) => object),
      ).length === 0
    ) {
      await this.#dropFinalizer(node, foregroundFinalizer);
    }
  }

  async #dropFinalizer({ ref, object }: GraphNode, finalizer: string): Promise<void> {
    const finalizers = (object.metadata?.finalizers ?? []).filter((one) => one !== finalizer);
    // Who was faster shows in the watch, and the object is looked at again.
    await unlessOutdated(this.#write({ ref, object }, { finalizers }));
  }

  /** Throws Conflict when the object is no longer as it was looked at: the queue comes back to it. */
  async #write({ ref, object }: GraphNode, change: object): Promise<void> {
    const { name = '', namespace, uid, resourceVersion } = object.metadata ?? {};
    const patch = { metadata: { uid, resourceVersion, ...change } };
    await unlessGone(this.#client.patch(ref, name, patch, { namespace, type: merge }));
  }
}

/** Whether who owns it, or whether it is going, may have changed. */
function isNews(object: KubeObject, previous: KubeObject | undefined): boolean {
  const of = ({ metadata }: KubeObject) => [
    metadata?.ownerReferences,
    metadata?.deletionTimestamp,
    metadata?.finalizers,
  ];
  return !previous || !equalJson(of(object), of(previous));
}

async function unlessGone<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isReason(error, 'NotFound')) return undefined;
    throw error;
  }
}
