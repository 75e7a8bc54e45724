/**
 * Objects as the cache keeps them: each as the JSON that clients are sent, and those in use also parsed. A parsed object takes several times its
 * JSON and makes the collector walk it; of tens of thousands nearly none is looked at twice in an hour.
 *
 * It owns which objects are parsed: those read last, up to a bound, in two generations. An item lives until everybody who kept it has released it.
 */
import type { Stored } from '../meta/object.ts';
import { parseShown } from './encoding.ts';
import { type Place, Slabs } from './slabs.ts';

/** JSON of the parsed objects of one generation. With the generation before it, and parsed, it is some six times that. */
const generationBytes = 3 << 20;

export class Shelf {
  readonly slabs = new Slabs();
  #generation = 1;
  #young: Item[] = [];
  #youngBytes = 0;
  #old: Item[] = [];
  readonly #bound: number;

  constructor(bound = generationBytes) {
    this.#bound = bound;
  }

  /** Kept once, by the caller. `object` is frozen and has `revision` as its version. */
  place(key: string, object: Stored, revision: number): Item {
    return new Item(this, { key, object, revision });
  }

  /** To be called about once a second: what has not been read for some time is made smaller. */
  async rest(): Promise<void> {
    await this.slabs.rest();
  }

  /** Keeps nothing parsed that nobody reads at this moment, and no room for what may come. */
  forget(): void {
    this.#turn();
    this.#turn();
    this.slabs.forget();
  }

  /** The item is in use: it stays parsed for this generation and the next. */
  touch(item: Item): void {
    if (item.seen === this.#generation) return;
    item.seen = this.#generation;
    this.#young.push(item);
    this.#youngBytes += item.length;
    if (this.#youngBytes > this.#bound) this.#turn();
  }

  #turn(): void {
    for (const one of this.#old) if (one.seen < this.#generation) one.cool();
    this.#old = this.#young;
    this.#young = [];
    this.#youngBytes = 0;
    this.#generation += 1;
  }
}

/** One object under one version. */
export class Item implements Place {
  readonly key: string;
  readonly revision: number;
  slab: Place['slab'];
  start = 0;
  length = 0;
  /** The shelf's generation in which it was last read. */
  seen = 0;
  readonly #shelf: Shelf;
  #parsed: Stored | undefined;
  #keepers = 1;

  constructor(shelf: Shelf, { key, object, revision }: { key: string; object: Stored; revision: number }) {
    this.key = key;
    this.revision = revision;
    this.slab = undefined;
    this.#shelf = shelf;
    this.#parsed = object;
    shelf.slabs.put(this, JSON.stringify(object));
    shelf.touch(this);
  }

  /** Frozen; the same one as long as it is in use. */
  get object(): Stored {
    const object = this.#parsed ?? parseShown(this.json);
    this.#parsed = object;
    this.#shelf.touch(this);
    return object;
  }

  /** What a client is sent. To be copied at once: the bytes may move. */
  get json(): Buffer {
    const bytes = this.#shelf.slabs.bytesOf(this);
    if (!bytes) throw new Error(`${this.key} at ${this.revision} was released`);
    return bytes;
  }

  keep(): this {
    this.#keepers += 1;
    return this;
  }

  /** The last one to release it gives its bytes back. */
  release(): void {
    this.#keepers -= 1;
    if (this.#keepers > 0) return;
    this.#parsed = undefined;
    this.#shelf.slabs.drop(this);
  }

  /** Forgets the parsed form until it is asked for again. */
  cool(): void {
    this.#parsed = undefined;
  }
}
