/**
 * Ends namespaces: a terminating namespace's objects are deleted, and when none is left its finalizer `kubernetes` is taken away.
 * Source: KEP-less behaviour of kube-controller-manager's namespace controller.
 */
import { type KubeClient, type KubeObject, type ResourceRef, resources } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import type { Namespace } from 'kubernetes-types/core/v1.js';
import type { Clock } from '../base/clock.ts';
import { Informer } from '../base/informer.ts';
import type { Logger } from '../base/log.ts';
import { WorkQueue } from '../base/work-queue.ts';

/** While Pods end within their grace period, look again this often. */
const recheckMs = 500;

export class NamespaceController {
  readonly #client: KubeClient;
  readonly #namespaced: readonly ResourceRef[];
  #custom: readonly ResourceRef[] = [];
  readonly #queue: WorkQueue;
  readonly #informer: Informer<Namespace & KubeObject>;

  /** `namespaced`: every built-in kind that lives in namespaces. */
  constructor(options: { client: KubeClient; log: Logger; clock: Clock; namespaced: ResourceRef[] }) {
    this.#client = options.client;
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
    let left = 0;
    for (const ref of [...this.#namespaced, ...this.#custom]) left += await this.#deleteAll(ref, name);
    if (left > 0) return this.#queue.addAfter(name, recheckMs);
    const spec = {
      ...namespace.spec,
      finalizers: (namespace.spec?.finalizers ?? []).filter((one) => one !== 'kubernetes'),
    };
    try {
      await this.#client.update(resources.namespaces, { ...namespace, spec }, { subresource: 'finalize' });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  }

  /** Asks for the deletion of what is not yet being deleted; returns how many objects are still there. */
  async #deleteAll(ref: ResourceRef, namespace: string): Promise<number> {
    const { items } = await this.#client.list(ref, { namespace }).catch((error: unknown) => {
      // A custom kind may be gone meanwhile, and its objects with it.
      if (isReason(error, 'NotFound')) return { items: [] };
      throw error;
    });
    const alive = items.filter((item) => !item.metadata?.deletionTimestamp);
    await Promise.all(
      alive.map((item) =>
        this.#client.delete(ref, item.metadata!.name!, { namespace }).catch((error) => {
          if (!isReason(error, 'NotFound')) throw error;
        }),
      ),
    );
    return items.length;
  }
}
