/**
 * The API server's view of the store: one store watch feeds one cache a kind.
 *
 *   store ──list──▶ reset ──watch──▶ put/remove ──▶ subscribers
 *     ▲                                 │ Expired or failed
 *     └─────────────────────────────────┘ (rebuilt; subscribers are told to list again)
 *
 * Owns: following the store, kinds that come and go meanwhile, and letting a reader wait until its own writes are seen. Does not own
 * selection or encoding.
 */
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import type { Kind } from '@sampan/api/kind.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Store, StoreEvent } from '../../store/store.ts';
import { decode } from './encoding.ts';
import { kindPrefixOf, prefixOf, registryRoot } from './key.ts';
import { KindCache } from './kind-cache.ts';
import { type Item, Shelf } from './shelf.ts';

export interface WatchCacheOptions {
  store: Store;
  kinds: readonly Kind[];
  clock: Clock;
  log: Logger;
}

const pageSize = 500;
/** How long a read waits for the cache to catch up with the store before it gives up. */
const freshnessMs = 10_000;

interface Waiter {
  revision: number;
  wake(): void;
}

export class WatchCache {
  readonly #options: WatchCacheOptions;
  readonly #shelf = new Shelf();
  readonly #caches = new Map<string, KindCache>();
  /** Kinds that are being read: what happened to them meanwhile. */
  readonly #arriving = new Map<string, StoreEvent[]>();
  readonly #stop = new AbortController();
  #revision = 0;
  /** How often everything was read again. */
  #rebuilds = 0;
  #waiters: Waiter[] = [];
  #following: Promise<void> = Promise.resolve();

  private constructor(options: WatchCacheOptions) {
    this.#options = options;
    for (const kind of options.kinds) this.#caches.set(prefixOf(kind.ref), new KindCache(this.#shelf));
  }

  /** Resolves when every kind has been read. */
  static async start(options: WatchCacheOptions): Promise<WatchCache> {
    const cache = new WatchCache(options);
    await cache.#rebuild();
    cache.#following = cache.#follow();
    return cache;
  }

  /** Everything the store did up to here is in the cache. */
  get revision(): number {
    return this.#revision;
  }

  kind(ref: Kind['ref']): KindCache {
    const cache = this.#caches.get(prefixOf(ref));
    if (!cache) throw new Error(`no cache for ${ref.resource}`);
    return cache;
  }

  /** Resolves when the kind can be read. Idempotent; not to be called for one kind twice at a time. */
  async add(ref: Kind['ref']): Promise<void> {
    const prefix = prefixOf(ref);
    if (this.#caches.has(prefix)) return;
    const missed: StoreEvent[] = [];
    this.#arriving.set(prefix, missed);
    try {
      for (let settled = false; !settled; ) {
        const rebuilds = this.#rebuilds;
        const { entries, revision } = await this.#read(prefix);
        await this.reach(revision);
        if (rebuilds !== this.#rebuilds) {
          release(entries);
          continue;
        }
        const cache = new KindCache(this.#shelf);
        cache.reset(entries.get(prefix) ?? [], revision);
        this.#caches.set(prefix, cache);
        for (const event of missed) if (event.revision > revision) this.#tell(cache, event);
        settled = true;
      }
    } finally {
      this.#arriving.delete(prefix);
    }
  }

  /** Ends the kind's watches and forgets its objects. */
  remove(ref: Kind['ref']): void {
    const prefix = prefixOf(ref);
    this.#caches.get(prefix)?.clear();
    this.#caches.delete(prefix);
  }

  /** Resolves when the cache holds all that was committed before the call. Throws Timeout. */
  async fresh(): Promise<void> {
    await this.reach(await this.#options.store.revision());
  }

  async reach(revision: number): Promise<void> {
    if (revision <= this.#revision) return;
    const timer = new AbortController();
    const reached = new Promise<boolean>((resolve) => {
      this.#waiters.push({ revision, wake: () => resolve(true) });
    });
    const late = this.#options.clock.sleep(freshnessMs, timer.signal).then(
      () => false,
      () => true,
    );
    const inTime = await Promise.race([reached, late]);
    timer.abort();
    if (!inTime) throw new SampanError('Timeout', 'the watch cache did not catch up with the store in time; try again');
  }

  /** Lets watchers that asked for bookmarks know how far they have come. */
  bookmark(): void {
    for (const cache of this.#caches.values()) cache.progress(this.#revision);
  }

  /** To be called about once a second: makes what is not read smaller. */
  async rest(): Promise<void> {
    await this.#shelf.rest();
  }

  /** Lets go of all that can be made again. */
  forget(): void {
    this.#shelf.forget();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#following;
    for (const cache of this.#caches.values()) cache.end();
  }

  async #follow(): Promise<void> {
    const { store, log, clock } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        // All keys, not only the registry's: the revision has to keep up with what others write too.
        for await (const batch of store.watch('', this.#revision, signal)) this.#apply(batch);
        if (!signal.aborted) throw new SampanError('ServiceUnavailable', 'the store ended the watch');
      } catch (error) {
        if (signal.aborted) return;
        log.warn({ error: messageOf(error) }, 'lost the store watch, reading everything again');
        await clock.sleep(100, signal).catch(() => {});
        await this.#rebuild().catch((cause) => log.error({ error: messageOf(cause) }, 'cannot read the store'));
      }
    }
  }

  async #rebuild(): Promise<void> {
    const { entries, revision } = await this.#read(registryRoot);
    for (const [prefix, cache] of this.#caches) {
      cache.reset(entries.get(prefix) ?? [], revision);
      entries.delete(prefix);
    }
    // Of kinds that are still arriving, or went meanwhile.
    release(entries);
    this.#rebuilds += 1;
    this.#moveTo(revision);
  }

  /** What is stored beneath `root` of kinds that are followed or arriving, by the kind's prefix. */
  async #read(root: string): Promise<{ entries: Map<string, Item[]>; revision: number }> {
    const entries = new Map<string, Item[]>();
    try {
      return { entries, revision: await this.#readInto(entries, root) };
    } catch (error) {
      release(entries);
      throw error;
    }
  }

  async #readInto(entries: Map<string, Item[]>, root: string): Promise<number> {
    let revision = 0;
    let after: string | undefined;
    for (let more = true; more; ) {
      const page = await this.#options.store.list(root, { limit: pageSize, after, revision });
      revision = page.revision;
      for (const entry of page.entries) {
        const prefix = kindPrefixOf(entry.key);
        if (!prefix || !(this.#caches.has(prefix) || this.#arriving.has(prefix))) continue;
        const object = this.#decode(entry.key, entry.value, entry.modRevision);
        if (!object) continue;
        const list = entries.get(prefix) ?? [];
        list.push(this.#shelf.place(entry.key, object, entry.modRevision));
        entries.set(prefix, list);
      }
      more = page.more;
      after = page.entries.at(-1)?.key;
    }
    return revision;
  }

  #apply(batch: StoreEvent[]): void {
    for (const event of batch) {
      const prefix = kindPrefixOf(event.key) ?? '';
      const cache = this.#caches.get(prefix);
      if (cache) this.#tell(cache, event);
      else this.#arriving.get(prefix)?.push(event);
    }
    const last = batch.at(-1);
    if (last) this.#moveTo(last.revision);
  }

  #tell(cache: KindCache, event: StoreEvent): void {
    if (event.type === 'delete') {
      cache.remove(event.key, event.revision);
      return;
    }
    const object = event.value && this.#decode(event.key, event.value, event.revision);
    if (object) cache.put(event.key, object, event.revision);
  }

  #moveTo(revision: number): void {
    this.#revision = revision;
    const due = this.#waiters.filter((waiter) => waiter.revision <= revision);
    if (due.length === 0) return;
    this.#waiters = this.#waiters.filter((waiter) => waiter.revision > revision);
    for (const waiter of due) waiter.wake();
  }

  /** A value nobody can read is reported and left alone: one broken key must not take the server down. */
  #decode(key: string, value: Uint8Array, revision: number) {
    try {
      return decode(value, revision);
    } catch (error) {
      this.#options.log.error({ key, error: messageOf(error) }, 'unreadable object in the store');
      return undefined;
    }
  }
}

function release(entries: Map<string, Item[]>): void {
  for (const items of entries.values()) for (const item of items) item.release();
}
