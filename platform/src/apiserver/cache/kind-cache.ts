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
  /** Size of the stored value; 0 for a deletion, whose object is that of the change before. */
  bytes: number;
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
  /** What those changes may come to, as they are stored. Parsed they are several times that. */
  bytes: number;
}

const defaultBounds: KindCacheBounds = { events: 2048, bytes: 32 * 1024 * 1024 };

export class KindCache {
  readonly #entries = new Map<string, Cached>();
  /** Ascending; kept as changes come, so that a list is a slice. */
  #keys: string[] = [];
  #ring: Change[] = [];
  #ringBytes = 0;
  /** Changes after this revision are all in the ring. */
  #since = 0;
  readonly #subscribers = new Set<Subscriber>();
  readonly #bounds: KindCacheBounds;

  constructor(bounds: Partial<KindCacheBounds> = {}) {
    this.#bounds = { ...defaultBounds, ...bounds };
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
    this.#ringBytes = 0;
    this.#since = revision;
  }

  /** `bytes` is the size of the stored value. */
  put(key: string, object: Stored, revision: number, bytes = 0): void {
    const previous = this.#entries.get(key);
    if (!previous) this.#keys.splice(this.#position(key), 0, key);
    this.#entries.set(key, { key, object, revision });
    this.#publish({ key, object, previous: previous?.object, deleted: false, revision, bytes, encoded: new Map() });
  }

  remove(key: string, revision: number): void {
    const previous = this.#entries.get(key);
    if (!previous) return;
    this.#entries.delete(key);
    this.#keys.splice(this.#position(key), 1);
    const object = deepFreeze(withVersion(previous.object, revision));
    this.#publish({ key, object, previous: previous.object, deleted: true, revision, bytes: 0, encoded: new Map() });
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
    this.#ringBytes += change.bytes;
    const { events, bytes } = this.#bounds;
    if (this.#ring.length > events) this.#drop(Math.ceil(events / 4));
    while (this.#ringBytes > bytes && this.#ring.length > 1) this.#drop(Math.ceil(this.#ring.length / 4));
    for (const subscriber of this.#subscribers) subscriber.change(change);
  }

  /** At least `count` changes: a revision is remembered whole or not at all, for a reader that starts after it must not miss half of it. */
  #drop(count: number): void {
    const last = this.#ring[count - 1]?.revision ?? this.#since;
    let end = count;
    while (this.#ring[end]?.revision === last) end++;
    for (const { bytes } of this.#ring.splice(0, end)) this.#ringBytes -= bytes;
    this.#since = last;
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
