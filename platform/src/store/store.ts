/**
 * The store seam: an ordered key-value map with revisions, as etcd's v3 API cuts it.
 *
 * Owns: durability, revisions, watch history, compaction. Does not own: what a key or value means.
 * One revision counter for the whole store; every committed transaction takes the next one. Every driver passes
 * store/store-suite.ts. Drivers: sqlite (default), memory (fake), etcd (several API servers).
 */

export interface Entry {
  key: string;
  value: Uint8Array;
  /** Revision at which this key was created (and since when it exists without a gap). */
  createRevision: number;
  /** Revision of the last write to this key. */
  modRevision: number;
}

/** A write that takes place only while `expect` holds. */
export interface Write {
  key: string;
  /** `undefined` deletes. */
  value: Uint8Array | undefined;
  /** modRevision the key must have; 0: the key must not exist; undefined: whatever is there. */
  expect?: number;
}

export interface StoreEvent {
  type: 'put' | 'delete';
  key: string;
  /** For 'delete', the value before; undefined only where history no longer holds it. */
  value: Uint8Array | undefined;
  /** The value before this event, absent when the key was created by it. */
  previous?: Uint8Array;
  revision: number;
}

export interface ListPage {
  entries: Entry[];
  /** The revision the page is a snapshot of. */
  revision: number;
  /** More keys follow: pass the last key as `after`. */
  more: boolean;
  /** How many keys follow this page. */
  remaining: number;
}

export interface Store {
  get(key: string): Promise<Entry | undefined>;
  /**
   * Keys that start with `prefix`, ascending. `revision`: the snapshot to read (0 or absent: now).
   * Throws Expired when that revision is compacted.
   */
  list(prefix: string, options?: { limit?: number; after?: string; revision?: number }): Promise<ListPage>;
  /**
   * All writes or none, durable (fsynced) before it resolves. Returns the revision they got.
   * Throws Conflict, naming the key, when an `expect` does not hold.
   */
  commit(writes: Write[]): Promise<number>;
  /**
   * Every event on keys under `prefix` with revision > `after`, in order, without gap or repeat, until `signal` aborts
   * (then it ends without an error). Throws Expired when `after` is compacted. A slow reader is cut off with Expired
   * rather than buffered without bound.
   */
  watch(prefix: string, after: number, signal: AbortSignal): AsyncIterable<StoreEvent[]>;
  /** The last committed revision. */
  revision(): Promise<number>;
  /** Forgets history up to and including `revision`. Idempotent. */
  compact(revision: number): Promise<void>;
  close(): Promise<void>;
}
