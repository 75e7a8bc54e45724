/** Bytes that wait for a reader. A thousand small pieces are kept as one: what waits costs its bytes, not its pieces. */

const blockBytes = 16 * 1024;

export class ByteQueue {
  #pieces: Buffer[] = [];
  /** The last piece, while small ones are being added to it. */
  #block: Buffer | undefined;
  #used = 0;

  get isEmpty(): boolean {
    return this.#pieces.length === 0 && this.#block === undefined;
  }

  /** The bytes are the queue's from now on. */
  push(data: Buffer): void {
    if (this.#block && this.#used + data.length > this.#block.length) this.#seal();
    if (!this.#block && data.length >= blockBytes / 4) {
      this.#pieces.push(data);
      return;
    }
    this.#block ??= Buffer.allocUnsafeSlow(blockBytes);
    this.#used += data.copy(this.#block, this.#used);
  }

  /** The oldest bytes; undefined when there are none. */
  shift(): Buffer | undefined {
    if (this.#pieces.length === 0) this.#seal();
    return this.#pieces.shift();
  }

  clear(): void {
    this.#pieces = [];
    this.#block = undefined;
    this.#used = 0;
  }

  #seal(): void {
    if (!this.#block) return;
    this.#pieces.push(this.#block.subarray(0, this.#used));
    this.#block = undefined;
    this.#used = 0;
  }
}
