/**
 * One kind's objects as the API has them, for all controllers of the process: one list and one watch however many look.
 * It owns the copy, its order in time (`seen`) and the indices by owner and namespace. It does not own what anybody does about a change.
 *
 *   list ──▶ watch ──event──▶ copy, then handlers
 *     ▲        └─ ended: watch again from the last version; Expired: list again; errors: wait, longer each time
 *     └──────────
 *
 * Objects are shared and frozen: change a copy. The copy is behind the API by as much as the watch is.
 */
import type { KubeClient, KubeObject, ResourceRef } from '@sampan/api/client.ts';
import { isReason, messageOf } from '@sampan/api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { ObjectIndex } from './object-index.ts';

export interface SharedInformerOptions {
  client: KubeClient;
  ref: ResourceRef;
  log: Logger;
  clock: Clock;
}

/** `removed` carries the last state known. */
export interface Change<T extends KubeObject> {
  type: 'set' | 'removed';
  object: T;
  previous?: T;
}

/** Called when the copy already has the change; must not throw or wait. */
export type ChangeHandler<T extends KubeObject> = (change: Change<T>) => void;

const firstRetryMs = 100;
const lastRetryMs = 10_000;

export class SharedInformer<T extends KubeObject> {
  readonly #options: SharedInformerOptions;
  readonly #index = new ObjectIndex<T>();
  readonly #handlers = new Set<ChangeHandler<T>>();
  readonly #stop = new AbortController();
  #synced: Promise<void> | undefined;
  #isSynced = false;
  #running: Promise<void> | undefined;
  #seen = 0;

  constructor(options: SharedInformerOptions) {
    this.#options = options;
  }

  /** Resolves when the first list is in the copy. May be called by each who needs it; the first call begins. */
  start(): Promise<void> {
    this.#synced ??= new Promise<void>((synced) => {
      this.#running = this.#run(synced);
    });
    return this.#synced;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#handlers.clear();
    await this.#running;
  }

  /** Handlers that come late are told what is there. Returns what takes the handler away. */
  subscribe(handler: ChangeHandler<T>): () => void {
    this.#handlers.add(handler);
    if (this.#isSynced) for (const object of this.#index.all()) handler({ type: 'set', object });
    return () => this.#handlers.delete(handler);
  }

  /** Every change up to this resourceVersion is in the copy: what a write of ours has to be held against. */
  get seen(): number {
    return this.#seen;
  }

  get(name: string, namespace = ''): T | undefined {
    return this.#index.get(name, namespace);
  }

  byUid(uid: string): T | undefined {
    return this.#index.byUid(uid);
  }

  list(namespace?: string): T[] {
    return namespace === undefined ? [...this.#index.all()] : this.#index.inNamespace(namespace);
  }

  /** Those that name `uid` in any owner reference. */
  ownedBy(uid: string): T[] {
    return this.#index.ownedBy(uid);
  }

  /** Those in `namespace` that no controller owns. */
  orphans(namespace: string): T[] {
    return this.#index.orphans(namespace);
  }

  async #run(synced: () => void): Promise<void> {
    const { signal } = this.#stop;
    let retryMs = firstRetryMs;
    let version: string | undefined;
    while (!signal.aborted) {
      try {
        version ??= await this.#relist();
        synced();
        for await (const next of this.#watch(version)) {
          version = next;
          retryMs = firstRetryMs;
        }
      } catch (error) {
        if (signal.aborted) break;
        if (isReason(error, 'Expired')) version = undefined;
        const { ref, log } = this.#options;
        log.warn({ resource: ref.resource, retryMs, error: messageOf(error) }, 'watch failed, will be tried again');
        retryMs = Math.min(retryMs * 2, lastRetryMs);
      }
      await this.#options.clock.sleep(retryMs, signal).catch(() => {});
    }
    synced();
  }

  /** The whole copy first, the handlers after: nobody acts on half a list. */
  async #relist(): Promise<string> {
    const { client, ref } = this.#options;
    const { items, resourceVersion } = await client.list<T>(ref);
    const listed = new Set(items.map((item) => item.metadata?.uid));
    const changes: Change<T>[] = [];
    for (const object of this.#index.all()) {
      if (listed.has(object.metadata?.uid)) continue;
      this.#index.remove(object);
      changes.push({ type: 'removed', object });
    }
    for (const object of items) {
      const previous = this.#index.set(object);
      if (previous?.metadata?.resourceVersion !== object.metadata?.resourceVersion) {
        changes.push({ type: 'set', object, previous });
      }
    }
    this.#reach(resourceVersion);
    this.#isSynced = true;
    for (const change of changes) this.#tell(change);
    return resourceVersion;
  }

  async *#watch(after: string): AsyncGenerator<string> {
    const { client, ref } = this.#options;
    for await (const event of client.watch<T>(ref, { resourceVersion: after }, this.#stop.signal)) {
      const version = event.object.metadata?.resourceVersion ?? '';
      if (event.type === 'BOOKMARK') this.#reach(version);
      else this.#apply(event.type === 'DELETED', event.object, version);
      if (version) yield version;
    }
  }

  #apply(isGone: boolean, object: T, version: string): void {
    const previous = isGone ? this.#index.remove(object) : this.#index.set(object);
    this.#reach(version);
    if (isGone && !previous) return;
    this.#tell({ type: isGone ? 'removed' : 'set', object, previous });
  }

  #reach(version: string): void {
    this.#seen = Math.max(this.#seen, Number(version) || 0);
  }

  #tell(change: Change<T>): void {
    for (const handler of this.#handlers) handler(change);
  }
}
