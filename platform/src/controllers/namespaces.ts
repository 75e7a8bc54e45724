/**
 * Ends namespaces: a terminating namespace's objects are deleted, its Pods first, and when none is left its finalizer `kubernetes` is taken away.
 * Meanwhile its conditions say what holds it.
 * Source: KEP-less behaviour of kube-controller-manager's namespace controller.
 */
import { type KubeClient, type KubeObject, type ResourceRef, resources } from '@sampan/api/client.ts';
import { isReason, messageOf } from '@sampan/api/errors.ts';
import { equalJson } from '@sampan/api/json.ts';
import type { Namespace } from 'kubernetes-types/core/v1.js';
import { type Clock, toTime } from '../base/clock.ts';
import { Informer } from '../base/informer.ts';
import type { Logger } from '../base/log.ts';
import { WorkQueue } from '../base/work-queue.ts';
import { type Remainder, type Termination, terminationConditions } from './namespace-conditions.ts';

/** While Pods end within their grace period, look again this often. */
const recheckMs = 500;

export class NamespaceController {
  readonly #client: KubeClient;
  readonly #clock: Clock;
  readonly #namespaced: readonly ResourceRef[];
  #custom: readonly ResourceRef[] = [];
  readonly #queue: WorkQueue;
  readonly #informer: Informer<Namespace & KubeObject>;

  /** `namespaced`: every built-in kind that lives in namespaces. */
  constructor(options: { client: KubeClient; log: Logger; clock: Clock; namespaced: ResourceRef[] }) {
    this.#client = options.client;
    this.#clock = options.clock;
    this.#namespaced = options.namespaced;
    this.#queue = new WorkQueue({ ...options, work: (name) => this.#finish(name) });
    this.#informer = new Informer<Namespace & KubeObject>({
      ...options,
      ref: resources.namespaces,
      onChange: ({ type, object }) => {
        if (type === 'set' && object.metadata?.deletionTimestamp) this.#queue.add(object.metadata.name!);
      },
    });
  }

  /** The custom kinds that live in namespaces, from now on. */
  setCustom(refs: readonly ResourceRef[]): void {
    this.#custom = refs;
  }

  start(): Promise<void> {
    return this.#informer.start();
  }

  async close(): Promise<void> {
    await Promise.all([this.#informer.close(), this.#queue.close()]);
  }

  async #finish(name: string): Promise<void> {
    const namespace = this.#informer.get(name);
    if (!namespace?.metadata?.deletionTimestamp) return;
    const termination = await this.#empty(name);
    const isEmpty = termination.remaining.length === 0 && termination.failures.length === 0;
    try {
      if (isEmpty) await this.#release(namespace);
      else await this.#tell(namespace, termination);
    } catch (error) {
      if (isReason(error, 'NotFound')) return;
      if (!isReason(error, 'Conflict')) throw error;
    }
    if (!isEmpty) this.#queue.addAfter(name, recheckMs);
  }

  /** Pods go before everything else: what guards or serves them outlives them (KEP-5080). */
  async #empty(name: string): Promise<Termination> {
    const isPods = (ref: ResourceRef) => ref.group === '' && ref.resource === 'pods';
    const all = [...this.#namespaced, ...this.#custom];
    const failures: string[] = [];
    const pods = await this.#deleteKinds(all.filter(isPods), name, failures);
    if (pods.length > 0 || failures.length > 0) return { remaining: pods, failures };
    const others = all.filter((ref) => !isPods(ref));
    return { remaining: await this.#deleteKinds(others, name, failures), failures };
  }

  /** Kinds of which something is still there. */
  async #deleteKinds(refs: ResourceRef[], namespace: string, failures: string[]): Promise<Remainder[]> {
    const remaining: Remainder[] = [];
    for (const ref of refs) {
      try {
        const items = await this.#deleteAll(ref, namespace);
        if (items.length > 0) remaining.push({ ref, items });
      } catch (error) {
        failures.push(`${ref.resource}.${ref.group}: ${messageOf(error)}`);
      }
    }
    return remaining;
  }

  async #release(namespace: Namespace & KubeObject): Promise<void> {
    const finalizers = (namespace.spec?.finalizers ?? []).filter((one) => one !== 'kubernetes');
    const released = { ...namespace, spec: { ...namespace.spec, finalizers } };
    await this.#client.update(resources.namespaces, released, { subresource: 'finalize' });
  }

  async #tell(namespace: Namespace & KubeObject, termination: Termination): Promise<void> {
    const before = namespace.status?.conditions ?? [];
    const conditions = terminationConditions(termination, before, toTime(this.#clock.now()));
    if (equalJson(conditions, before)) return;
    const told = { ...namespace, status: { ...namespace.status, conditions } };
    await this.#client.update(resources.namespaces, told, { subresource: 'status' });
  }

  /** Asks for the deletion of what is not yet being deleted; returns what was there. */
  async #deleteAll(ref: ResourceRef, namespace: string): Promise<readonly KubeObject[]> {
    const { items } = await this.#client.list(ref, { namespace }).catch((error: unknown) => {
      // A custom kind may be gone meanwhile, and its objects with it.
      if (isReason(error, 'NotFound')) return { items: [] };
      throw error;
    });
    const alive = items.filter((item) => !item.metadata?.deletionTimestamp);
    const gone = await Promise.allSettled(
      // Said outright: there are kinds whose dependents would be kept, and keep the namespace.
      alive.map(({ metadata }) =>
        this.#client.delete(ref, metadata!.name!, { namespace, propagationPolicy: 'Background' }),
      ),
    );
    const failed = gone.find((one) => one.status === 'rejected' && !isReason(one.reason, 'NotFound'));
    if (failed?.status === 'rejected') throw failed.reason;
    return items;
  }
}
