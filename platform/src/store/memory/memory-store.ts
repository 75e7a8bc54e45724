/**
 * A store that forgets when its process ends: the fake driver, for tests and the simulation. It keeps every version of every key since the
 * last compaction, so old revisions can be listed and watched as with a real one.
 */
import { SampanError } from '@sampan/api/errors.ts';
import { checkWrites, compacted, conflict, inTheFuture, prefixEnd } from '../keys.ts';
import type { Entry, ListPage, Store, StoreEvent, Write } from '../store.ts';
import { WatchHub, type WatchLimits } from '../watch-hub.ts';

interface Version {
  revision: number;
  createRevision: number;
  /** undefined: deleted at this revision. */
  value: Uint8Array | undefined;
}

export function createMemoryStore(options: { watchLimits?: WatchLimits } = {}): Store {
  return new MemoryStore(options.watchLimits);
}

class MemoryStore implements Store {
  readonly #versions = new Map<string, Version[]>();
  #sortedKeys: string[] | undefined = [];
  #events: StoreEvent[] = [];
  #revision = 0;
  #compacted = 0;
  #closed = false;
  readonly #hub: WatchHub;

  constructor(watchLimits?: WatchLimits) {
    this.#hub = new WatchHub(watchLimits);
  }

  async get(key: string): Promise<Entry | undefined> {
    this.#assertOpen();
    return this.#entryAt(key, this.#revision);
  }

  async list(prefix: string, options: { limit?: number; after?: string; revision?: number } = {}): Promise<ListPage> {
    this.#assertOpen();
    const revision = options.revision || this.#revision;
    if (revision < this.#compacted) throw compacted(revision, this.#compacted);
    if (revision > this.#revision) throw inTheFuture(revision, this.#revision);
    const all: Entry[] = [];
    for (const key of this.#keysUnder(prefix)) {
      if (options.after !== undefined && key <= options.after) continue;
      const entry = this.#entryAt(key, revision);
      if (entry) all.push(entry);
    }
    const entries = options.limit ? all.slice(0, options.limit) : all;
    const remaining = all.length - entries.length;
    return { entries, revision, more: remaining > 0, remaining };
  }

  async commit(writes: Write[]): Promise<number> {
    this.#assertOpen();
    checkWrites(writes);
    for (const { key, expect } of writes) {
      const actual = this.#entryAt(key, this.#revision)?.modRevision ?? 0;
      if (expect !== undefined && expect !== actual) throw conflict(key, expect, actual);
    }
    const revision = this.#revision + 1;
    const events = writes.flatMap((write) => this.#apply(write, revision));
    this.#revision = revision;
    this.#events.push(...events);
    this.#hub.publish(events);
    return revision;
  }

  #apply(write: Write, revision: number): StoreEvent[] {
    const before = this.#entryAt(write.key, this.#revision);
    if (!before && write.value === undefined) return [];
    const value = write.value === undefined ? undefined : Uint8Array.from(write.value);
    const versions = this.#versions.get(write.key);
    const version = { revision, createRevision: before?.createRevision ?? revision, value };
    if (versions) versions.push(version);
    else {
      this.#versions.set(write.key, [version]);
      this.#sortedKeys = undefined;
    }
    if (value === undefined) return [{ type: 'delete', key: write.key, value: before?.value, revision }];
    const event: StoreEvent = { type: 'put', key: write.key, value, revision };
    if (before) event.previous = before.value;
    return [event];
  }

  async *watch(prefix: string, after: number, signal: AbortSignal): AsyncIterable<StoreEvent[]> {
    this.#assertOpen();
    yield* this.#hub.watch({
      prefix,
      after,
      signal,
      current: () => this.#revision,
      readHistory: (_prefix, from, to) => {
        if (from < this.#compacted) throw compacted(from, this.#compacted);
        const events = this.#events.filter((e) => e.revision > from && e.revision <= to && e.key.startsWith(prefix));
        return { events, upTo: to };
      },
    });
  }

  async revision(): Promise<number> {
    return this.#revision;
  }

  async compact(revision: number): Promise<void> {
    this.#assertOpen();
    if (revision > this.#revision) throw inTheFuture(revision, this.#revision);
    if (revision <= this.#compacted) return;
    this.#compacted = revision;
    this.#events = this.#events.filter((event) => event.revision > revision);
    for (const [key, versions] of this.#versions) {
      const kept = versions.filter((version, i) => version.revision > revision || isLastUpTo(versions, i, revision));
      if (kept[0] && kept[0].revision <= revision && kept[0].value === undefined) kept.shift();
      if (kept.length > 0) this.#versions.set(key, kept);
      else if (this.#versions.delete(key)) this.#sortedKeys = undefined;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#hub.close();
  }

  #entryAt(key: string, revision: number): Entry | undefined {
    const version = this.#versions.get(key)?.findLast((candidate) => candidate.revision <= revision);
    if (version?.value === undefined) return undefined;
    const { value, createRevision, revision: modRevision } = version;
    return { key, value, createRevision, modRevision };
  }

  #keysUnder(prefix: string): string[] {
    this.#sortedKeys ??= [...this.#versions.keys()].sort();
    const end = prefixEnd(prefix);
    return this.#sortedKeys.filter((key) => key >= prefix && key < end);
  }

  #assertOpen(): void {
    if (this.#closed) throw new SampanError('FailedPrecondition', 'the store is closed');
  }
}

function isLastUpTo(versions: Version[], index: number, revision: number): boolean {
  const next = versions[index + 1];
  return !next || next.revision > revision;
}
