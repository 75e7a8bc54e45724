/**
 * One kind as it stands and its latest changes: what lists, gets and watches are answered from.
 * It owns the order of keys, the ring of events and the subscribers; not where changes come from.
 */
import { prefixEnd } from '../../store/keys.ts';
import type { Chunk } from '../http/chunk.ts';
import { expired, tooOld } from '../meta/failures.ts';
import { deepFreeze, type Stored, withVersion } from '../meta/object.ts';
import { type Item, Shelf } from './shelf.ts';

/** One change of one object. Its objects are there as long as the cache remembers the change. */
export class Change {
  readonly #item: Item | undefined;
  readonly #before: Item | undefined;
  readonly revision: number;
  /** Encodings shared by all who are told this change as it happens. */
  readonly encoded = new Map<string, Chunk>();

  /** Without an item it is a deletion. */
  constructor(item: Item | undefined, before: Item | undefined, revision: number) {
    this.#item = item?.keep();
    this.#before = before?.keep();
    this.revision = revision;
  }

  get deleted(): boolean {
    return !this.#item;
  }

  get key(): string {
    return (this.#item ?? this.#before)!.key;
  }

  /** For a deletion what it was, under the deletion's version. */
  get object(): Stored {
    return this.#item?.object ?? deepFreeze(withVersion(this.#before!.object, this.revision));
  }

  get previous(): Stored | undefined {
    return this.#before?.object;
  }

  /** Of `object`, where it is at hand. To be copied at once. */
  get json(): Buffer | undefined {
    return this.#item?.json;
  }

  /** What it takes, roughly, as bytes of JSON. */
  get bytes(): number {
    return (this.#item ?? this.#before)!.length;
  }

  release(): void {
    this.#item?.release();
    this.#before?.release();
  }
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
  /** What those changes may come to as JSON. */
  bytes: number;
}

const defaultBounds: KindCacheBounds = { events: 2048, bytes: 32 * 1024 * 1024 };

export class KindCache {
  readonly #entries = new Map<string, Item>();
  /** Ascending; kept as changes come, so that a list is a slice. */
  #keys: string[] = [];
  #ring: Change[] = [];
  #ringBytes = 0;
  /** Changes after this revision are all in the ring. */
  #since = 0;
  readonly #subscribers = new Set<Subscriber>();
  readonly #shelf: Shelf;
  readonly #bounds: KindCacheBounds;

  /** All kinds of a server share one shelf. */
  constructor(shelf = new Shelf(), bounds: Partial<KindCacheBounds> = {}) {
    this.#shelf = shelf;
    this.#bounds = { ...defaultBounds, ...bounds };
  }

  get(key: string): Item | undefined {
    return this.#entries.get(key);
  }

  get size(): number {
    return this.#entries.size;
  }

  get subscribers(): number {
    return this.#subscribers.size;
  }

  /** Entries under `prefix`, ascending, from the first key greater than `after`. */
  *range(prefix: string, after = ''): Iterable<Item> {
    const start = after > prefix ? after : prefix;
    for (let index = this.#position(start); index < this.#keys.length; index++) {
      const key = this.#keys[index] as string;
      if (!key.startsWith(prefix)) return;
      if (key !== after) yield this.#entries.get(key) as Item;
    }
  }

  /** How many entries there are under `prefix` after the key `after`. */
  count(prefix: string, after: string): number {
    return this.#position(prefixEnd(prefix)) - this.#position(after) - (this.#entries.has(after) ? 1 : 0);
  }

  /** Starts from a snapshot, whose items it takes over. Whoever was subscribed has missed something and is told so. */
  reset(items: Item[], revision: number): void {
    for (const subscriber of this.#take()) subscriber.end(expired('the watch cache was rebuilt; list again'));
    for (const item of this.#entries.values()) item.release();
    this.#entries.clear();
    for (const item of items) this.#entries.set(item.key, item);
    this.#keys = [...this.#entries.keys()].sort(compareKeys);
    this.#drop(this.#ring.length);
    this.#since = revision;
  }

  put(key: string, object: Stored, revision: number): void {
    const previous = this.#entries.get(key);
    if (!previous) this.#keys.splice(this.#position(key), 0, key);
    const item = this.#shelf.place(key, object, revision);
    this.#entries.set(key, item);
    this.#publish(new Change(item, previous, revision));
    previous?.release();
  }

  remove(key: string, revision: number): void {
    const previous = this.#entries.get(key);
    if (!previous) return;
    this.#entries.delete(key);
    this.#keys.splice(this.#position(key), 1);
    this.#publish(new Change(undefined, previous, revision));
    previous.release();
  }

  /** Ends the subscriptions and gives everything back. */
  clear(): void {
    this.end();
    this.reset([], this.#since);
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
    // Whoever comes later and wants the past makes his own.
    change.encoded.clear();
  }

  /** At least `count` changes: a revision is remembered whole or not at all, for a reader that starts after it must not miss half of it. */
  #drop(count: number): void {
    const last = this.#ring[count - 1]?.revision ?? this.#since;
    let end = count;
    while (this.#ring[end]?.revision === last) end++;
    for (const change of this.#ring.splice(0, end)) {
      this.#ringBytes -= change.bytes;
      change.release();
    }
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
