/**
 * One kind as it stands and its latest changes: what lists, gets and watches are answered from.
 * It owns the order of keys, the ring of events and the subscribers; not where changes come from.
 */
import { expired, tooOld } from '../meta/failures.ts';
import { deepFreeze, type Stored, withVersion } from '../meta/object.ts';

export interface Cached {
  key: string;
  object: Stored;
  revision: number;
}

/** One change of one object. For a deletion `object` is what it was, under the deletion's version. */
export interface Change {
  key: string;
  object: Stored;
  previous: Stored | undefined;
  deleted: boolean;
  revision: number;
  /** Encodings shared by all who send this change: filled on first use, gone with the change. */
  encoded: Map<string, Buffer>;
}

/** Called in order of revisions, synchronously; must not throw. */
export interface Subscriber {
  change(change: Change): void;
  /** Everything up to `revision` has been delivered. */
  progress?(revision: number): void;
  /** The subscription is over: history was lost, or the server closes. */
  end(error?: Error): void;
}

export interface KindCacheBounds {
  /** Changes remembered for watches that start in the past. */
  events: number;
}

export class KindCache {
  readonly #entries = new Map<string, Cached>();
  /** Ascending; kept as changes come, so that a list is a slice. */
  #keys: string[] = [];
  #ring: Change[] = [];
  /** Changes after this revision are all in the ring. */
  #since = 0;
  readonly #subscribers = new Set<Subscriber>();
  readonly #bounds: KindCacheBounds;

  constructor(bounds: KindCacheBounds = { events: 2048 }) {
    this.#bounds = bounds;
  }

  get(key: string): Cached | undefined {
    return this.#entries.get(key);
  }

  get size(): number {
    return this.#entries.size;
  }

  get subscribers(): number {
    return this.#subscribers.size;
  }

  /** Entries under `prefix`, ascending, from the first key greater than `after`. */
  *range(prefix: string, after = ''): Iterable<Cached> {
    const start = after > prefix ? after : prefix;
    for (let index = this.#position(start); index < this.#keys.length; index++) {
      const key = this.#keys[index] as string;
      if (!key.startsWith(prefix)) return;
      if (key !== after) yield this.#entries.get(key) as Cached;
    }
  }

  /** Starts from a snapshot. Whoever was subscribed has missed something and is told so. */
  reset(entries: Cached[], revision: number): void {
    for (const subscriber of this.#take()) subscriber.end(expired('the watch cache was rebuilt; list again'));
    this.#entries.clear();
    for (const entry of entries) this.#entries.set(entry.key, entry);
    this.#keys = [...this.#entries.keys()].sort(compareKeys);
    this.#ring = [];
    this.#since = revision;
  }

  put(key: string, object: Stored, revision: number): void {
    const previous = this.#entries.get(key);
    if (!previous) this.#keys.splice(this.#position(key), 0, key);
    this.#entries.set(key, { key, object, revision });
    this.#publish({ key, object, previous: previous?.object, deleted: false, revision, encoded: new Map() });
  }

  remove(key: string, revision: number): void {
    const previous = this.#entries.get(key);
    if (!previous) return;
    this.#entries.delete(key);
    this.#keys.splice(this.#position(key), 1);
    const object = deepFreeze(withVersion(previous.object, revision));
    this.#publish({ key, object, previous: previous.object, deleted: true, revision, encoded: new Map() });
  }

  /** Delivers what happened after `after` at once, then every change. Throws Expired when that is no longer known. */
  subscribe(after: number, subscriber: Subscriber): () => void {
    if (after < this.#since) throw tooOld(after, this.#since);
    for (const change of this.#ring) if (change.revision > after) subscriber.change(change);
    this.#subscribers.add(subscriber);
    return () => this.#subscribers.delete(subscriber);
  }

  progress(revision: number): void {
    for (const subscriber of this.#subscribers) subscriber.progress?.(revision);
  }

  end(error?: Error): void {
    for (const subscriber of this.#take()) subscriber.end(error);
  }

  #take(): Subscriber[] {
    const all = [...this.#subscribers];
    this.#subscribers.clear();
    return all;
  }

  #publish(change: Change): void {
    this.#ring.push(change);
    if (this.#ring.length > this.#bounds.events) {
      const dropped = this.#ring.splice(0, Math.ceil(this.#bounds.events / 4));
      this.#since = dropped.at(-1)?.revision ?? this.#since;
      this.#dropRestOf(this.#since);
    }
    for (const subscriber of this.#subscribers) subscriber.change(change);
  }

  /** A revision is remembered whole or not at all: a reader that starts after it must not miss half of it. */
  #dropRestOf(revision: number): void {
    let index = 0;
    while (this.#ring[index]?.revision === revision) index++;
    if (index > 0) this.#ring.splice(0, index);
  }

  /** Where `key` stands, or would stand. */
  #position(key: string): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#keys[middle] as string) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** By UTF-16 code unit, which for the ASCII of names is the store's order of bytes. */
function compareKeys(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
