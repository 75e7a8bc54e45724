/**
 * Keeps a copy of a list of API objects and tells what changed: list, then watch, then list again when history is lost.
 * Owns the copy and its freshness. Does not own what is done about a change: handlers only enqueue work (level-based).
 */
import type { KubeClient, KubeObject, ListOptions, ResourceRef } from '@sampan/api/client.ts';
import { isReason, messageOf } from '@sampan/api/errors.ts';
import { type Clock, systemClock } from './clock.ts';
import type { Logger } from './log.ts';

export interface InformerOptions<T extends KubeObject> {
  client: KubeClient;
  ref: ResourceRef;
  /** Restricts what is listed and watched. */
  select?: Pick<ListOptions, 'namespace' | 'labelSelector' | 'fieldSelector'>;
  log: Logger;
  clock?: Clock;
  /** `removed` carries the last state known. Must not throw or wait. */
  onChange?: (change: { type: 'set' | 'removed'; object: T; previous?: T }) => void;
}

const firstRetryMs = 100;
const lastRetryMs = 10_000;

export class Informer<T extends KubeObject> {
  readonly #options: InformerOptions<T>;
  readonly #clock: Clock;
  readonly #objects = new Map<string, T>();
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: InformerOptions<T>) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Resolves when the first list is in the copy and its changes were told. Keeps trying while the API is away. */
  async start(): Promise<void> {
    await new Promise<void>((synced) => {
      this.#running = this.#run(synced);
    });
  }

  get(name: string, namespace = ''): T | undefined {
    return this.#objects.get(`${namespace}/${name}`);
  }

  list(): T[] {
    return [...this.#objects.values()];
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(synced: () => void): Promise<void> {
    const signal = this.#stop.signal;
    let retryMs = firstRetryMs;
    let version: string | undefined;
    while (!signal.aborted) {
      try {
        if (version === undefined) version = await this.#relist();
        synced();
        for await (const next of this.#watch(version)) {
          version = next;
          retryMs = firstRetryMs;
        }
        await this.#clock.sleep(firstRetryMs, signal).catch(() => {});
      } catch (error) {
        if (signal.aborted) break;
        if (isReason(error, 'Expired')) {
          version = undefined;
          continue;
        }
        const { ref, log } = this.#options;
        log.warn({ resource: ref.resource, retryMs, error: messageOf(error) }, 'watch failed, will be tried again');
        await this.#clock.sleep(retryMs, signal).catch(() => {});
        retryMs = Math.min(retryMs * 2, lastRetryMs);
      }
    }
    synced();
  }

  async #relist(): Promise<string> {
    const { client, ref, select } = this.#options;
    const { items, resourceVersion } = await client.list<T>(ref, select);
    const seen = new Set(items.map(keyOf));
    for (const [key, object] of this.#objects) if (!seen.has(key)) this.#remove(key, object);
    for (const item of items) this.#set(item);
    return resourceVersion;
  }

  /** Applies events as they come and yields the version up to which the copy is true. */
  async *#watch(after: string): AsyncGenerator<string> {
    const { client, ref, select } = this.#options;
    for await (const event of client.watch<T>(ref, { ...select, resourceVersion: after }, this.#stop.signal)) {
      if (event.type === 'DELETED') this.#remove(keyOf(event.object), event.object);
      else if (event.type !== 'BOOKMARK') this.#set(event.object);
      const version = event.object.metadata?.resourceVersion;
      if (version) yield version;
    }
  }

  #set(object: T): void {
    const previous = this.#objects.get(keyOf(object));
    if (previous && previous.metadata?.resourceVersion === object.metadata?.resourceVersion) return;
    this.#objects.set(keyOf(object), object);
    this.#options.onChange?.({ type: 'set', object, previous });
  }

  #remove(key: string, object: T): void {
    if (this.#objects.delete(key)) this.#options.onChange?.({ type: 'removed', object });
  }
}

const keyOf = (object: KubeObject): string => `${object.metadata?.namespace ?? ''}/${object.metadata?.name ?? ''}`;
