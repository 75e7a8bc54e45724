/**
 * The data blocks of an image file under construction: hands out runs of blocks, takes runs back that a higher layer replaced, and writes through
 * one buffer because most files are small. Memory is the buffer and the list of free runs.
 */
import type { FileHandle } from 'node:fs/promises';
import { blockBytes } from './erofs-format.ts';
import { writeFully } from './write-fully.ts';

const bufferBytes = 1 << 20;

export class BlockArea {
  readonly #file: FileHandle;
  #end: number;
  /** Free runs by length, so that a replaced file's place goes to one of about its size. */
  readonly #free = new Map<number, number[]>();
  #freeBlocks = 0;
  #buffer = Buffer.allocUnsafe(bufferBytes);
  #bufferAt = 0;
  #buffered = 0;

  constructor(file: FileHandle, firstBlock: number) {
    this.#file = file;
    this.#end = firstBlock;
  }

  /** The block after the last one handed out. */
  get end(): number {
    return this.#end;
  }

  /** Blocks taken back and not used again. */
  get freeBlocks(): number {
    return this.#freeBlocks;
  }

  allocate(blocks: number): number {
    if (blocks === 0) return 0;
    const length = this.#bestFit(blocks);
    if (length === undefined) {
      const first = this.#end;
      this.#end += blocks;
      return first;
    }
    const runs = this.#free.get(length)!;
    const first = runs.pop()!;
    if (runs.length === 0) this.#free.delete(length);
    this.#freeBlocks -= length;
    this.release(first + blocks, length - blocks);
    return first;
  }

  release(firstBlock: number, blocks: number): void {
    if (blocks === 0) return;
    const runs = this.#free.get(blocks);
    if (runs) runs.push(firstBlock);
    else this.#free.set(blocks, [firstBlock]);
    this.#freeBlocks += blocks;
  }

  /** The shortest free run that is long enough. */
  #bestFit(blocks: number): number | undefined {
    if (this.#freeBlocks < blocks) return undefined;
    if (this.#free.has(blocks)) return blocks;
    let best: number | undefined;
    for (const length of this.#free.keys()) {
      if (length > blocks && (best === undefined || length < best)) best = length;
    }
    return best;
  }

  /** Writes at a byte offset of the file; waits only when the buffer is full. The chunk is copied. */
  write(offset: number, chunk: Uint8Array): void | Promise<void> {
    const fits = offset === this.#bufferAt + this.#buffered && this.#buffered + chunk.length <= bufferBytes;
    if (!fits) return this.#writeThrough(offset, chunk);
    this.#buffer.set(chunk, this.#buffered);
    this.#buffered += chunk.length;
  }

  async #writeThrough(offset: number, chunk: Uint8Array): Promise<void> {
    await this.flush();
    this.#bufferAt = offset;
    if (chunk.length <= bufferBytes) {
      this.#buffer.set(chunk);
      this.#buffered = chunk.length;
      return;
    }
    await writeFully(this.#file, chunk, offset);
    this.#bufferAt = offset + chunk.length;
  }

  /** Fills the rest of the block that ends a file with zeros: the place may have held another file. */
  pad(offset: number): void | Promise<void> {
    const rest = offset % blockBytes;
    if (rest > 0) return this.write(offset, zeros.subarray(rest));
  }

  async flush(): Promise<void> {
    const length = this.#buffered;
    this.#buffered = 0;
    if (length > 0) await writeFully(this.#file, this.#buffer.subarray(0, length), this.#bufferAt);
    this.#bufferAt += length;
  }
}

const zeros = Buffer.alloc(blockBytes);
