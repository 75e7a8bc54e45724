/**
 * Bytes of many small values outside the collector's heap, in blocks: a value costs its bytes and no object of its own, what is given back is used
 * again at once, whenever the collector runs, and what nobody reads is packed.
 *
 *   open ──full──▶ sealed ──not read for a while──▶ packed ──read──▶ sealed
 *                    └──less than half in use──▶ what is left moves to the open block, the block is free for reuse
 *
 * It owns where bytes stand; who holds a value may read it by `bytesOf` until he gives it back, and must not keep what he is shown.
 */
import { setImmediate as othersTurn } from 'node:timers/promises';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';

/** One value's place. Made by its holder, filled in by `put`. */
export interface Place {
  slab: Slab | undefined;
  start: number;
  length: number;
}

interface Slab {
  /** Undefined while packed. */
  bytes: Buffer | undefined;
  packed: Buffer | undefined;
  size: number;
  used: number;
  live: number;
  /** The turn in which it was last read. */
  readIn: number;
  /** Who has had a place here; those who moved or left are known by their `slab`. */
  places: Place[];
}

/** Small enough that unpacking one, some tenths of a millisecond, is no burden to who reads one value of it. */
const slabBytes = 256 << 10;
/** Larger values have a block of their own size. */
const aloneBytes = slabBytes / 4;
/** Blocks kept for reuse; more are left to the collector. */
const maxSpare = 8;
/** Turns after which a block that was read is packed. What was written and never read need not wait. */
const restTurns = 15;
/** A turn takes no more than packing so many blocks: some ten milliseconds. */
const packedATurn = 16;
/** Packing has to be worth it. */
const mostPacked = 0.7;

export class Slabs {
  #open: Slab = newSlab(slabBytes);
  readonly #sealed = new Set<Slab>();
  readonly #spare: Buffer[] = [];
  #turn = restTurns;

  /** The text as UTF-8. */
  put(place: Place, text: string): void {
    const length = Buffer.byteLength(text);
    this.#settle(place, length).write(text, place.start, length, 'utf8');
  }

  /** Undefined when it was given back. What it shows changes with the next `put`, `drop` or `rest`. */
  bytesOf({ slab, start, length }: Place): Buffer | undefined {
    if (!slab) return undefined;
    slab.readIn = this.#turn;
    return bytesIn(slab).subarray(start, start + length);
  }

  /** Gives the place back. Idempotent. */
  drop(place: Place): void {
    const { slab } = place;
    if (!slab) return;
    place.slab = undefined;
    slab.live -= place.length;
    if (slab !== this.#open && isSparse(slab)) this.#vacate(slab);
  }

  /**
   * A turn: packs some of what was not read for several of them. Whatever else is to be done is done between one block and the next: a block
   * is half a millisecond or more, and whoever waits for an event waits for it. Not to be called again before it has resolved.
   */
  async rest(): Promise<void> {
    this.#turn += 1;
    let left = packedATurn;
    for (const slab of this.#sealed) {
      if (left === 0) return;
      if (!slab.bytes || this.#turn - slab.readIn < restTurns) continue;
      this.#pack(slab);
      left -= 1;
      await othersTurn();
    }
  }

  /** Gives back the blocks kept for reuse. */
  forget(): void {
    this.#spare.length = 0;
  }

  #settle(place: Place, length: number): Buffer {
    const isAlone = length > aloneBytes;
    if (!isAlone && this.#open.used + length > slabBytes) this.#seal();
    const slab = isAlone ? newSlab(length) : this.#open;
    if (isAlone) this.#sealed.add(slab);
    else slab.places.push(place);
    place.slab = slab;
    place.start = slab.used;
    place.length = length;
    slab.used += length;
    slab.live += length;
    return bytesIn(slab);
  }

  #seal(): void {
    const sealed = this.#open;
    this.#open = newSlab(slabBytes, this.#spare.pop());
    this.#sealed.add(sealed);
    if (isSparse(sealed)) this.#vacate(sealed);
  }

  #vacate(slab: Slab): void {
    const { places } = slab;
    this.#sealed.delete(slab);
    slab.places = [];
    for (const place of places) {
      if (place.slab !== slab) continue;
      const { start, length } = place;
      const to = this.#settle(place, length);
      bytesIn(slab).copy(to, place.start, start, start + length);
    }
    this.#reuse(slab.bytes);
  }

  #pack(slab: Slab): void {
    const { bytes, used } = slab;
    if (!bytes) return;
    const params = { [constants.ZSTD_c_compressionLevel]: 1 };
    const options = { params, pledgedSrcSize: used, chunkSize: slab.size };
    const packed = zstdCompressSync(bytes.subarray(0, used), options);
    // Should it not be worth it, it is not tried again before it was read: it would not come out smaller.
    slab.readIn = Number.POSITIVE_INFINITY;
    if (packed.length > used * mostPacked) return;
    // Not in the buffer it came in, which is as large as it might have been.
    slab.packed = newPages(packed.length);
    packed.copy(slab.packed);
    slab.bytes = undefined;
    this.#reuse(bytes);
  }

  #reuse(bytes: Buffer | undefined): void {
    if (bytes?.length === slabBytes && this.#spare.length < maxSpare) this.#spare.push(bytes);
  }
}

/** A buffer that can change its length has pages of its own, which go back to the system with it; any other is a hole in malloc's heap. */
function newPages(size: number): Buffer {
  return Buffer.from(new ArrayBuffer(size, { maxByteLength: size }));
}

function newSlab(size: number, bytes = newPages(size)): Slab {
  return { bytes, packed: undefined, size, used: 0, live: 0, readIn: 0, places: [] };
}

/** Unpacked when it was packed, and stays so until it has rested again. */
function bytesIn(slab: Slab): Buffer {
  if (slab.bytes) return slab.bytes;
  slab.bytes = zstdDecompressSync(slab.packed!, { maxOutputLength: slab.size, chunkSize: slab.size });
  slab.packed = undefined;
  return slab.bytes;
}

const isSparse = ({ live, size }: Slab) => live * 2 < size;
