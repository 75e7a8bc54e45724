/**
 * Bytes that arrived from a client and were not read yet, read as a web stream. The carrier pushes; it asks `queued` to know when to
 * stop reading from its socket, and is told with `onConsumed` when to go on.
 */
export class ByteQueue {
  /** Cancelling it discards what still comes. */
  readonly readable: ReadableStream<Uint8Array>;
  readonly #onConsumed: (bytes: number) => void;
  readonly #chunks: Uint8Array[] = [];
  #queued = 0;
  #state: 'open' | 'ended' | 'discarding' | 'failed' = 'open';
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  /** `onConsumed` hears of every byte pushed exactly once: when it is read, or thrown away. */
  constructor(onConsumed: (bytes: number) => void) {
    this.#onConsumed = onConsumed;
    this.readable = new ReadableStream(
      { pull: (controller) => this.#pull(controller), cancel: () => this.discard() },
      { highWaterMark: 0 },
    );
  }

  get queued(): number {
    return this.#queued;
  }

  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (this.#state === 'open') {
      this.#chunks.push(bytes);
      this.#queued += bytes.length;
      this.#wake?.();
    } else this.#onConsumed(bytes.length);
  }

  /** The reader gets what is queued, then the end. */
  end(): void {
    if (this.#state === 'open') this.#state = 'ended';
    this.#wake?.();
  }

  /** The reader gets the error at once; after end() nothing. */
  fail(error: Error): void {
    if (this.#state === 'open') {
      this.#failure = error;
      this.#state = 'failed';
      this.#drop();
    }
    this.#wake?.();
  }

  /** Throws away what is queued and what still comes. */
  discard(): void {
    if (this.#state !== 'failed') this.#state = 'discarding';
    this.#drop();
    this.#wake?.();
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    while (this.#chunks.length === 0 && this.#state === 'open') {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const chunk = this.#chunks.shift();
    if (chunk) {
      this.#queued -= chunk.length;
      controller.enqueue(chunk);
      this.#onConsumed(chunk.length);
    } else if (this.#failure) controller.error(this.#failure);
    else closeQuietly(controller);
  }

  #drop(): void {
    const bytes = this.#queued;
    this.#chunks.length = 0;
    this.#queued = 0;
    if (bytes > 0) this.#onConsumed(bytes);
  }
}

/** A cancelled stream is closed already. */
function closeQuietly(controller: ReadableStreamDefaultController): void {
  try {
    controller.close();
  } catch {
    // Nothing to do: it is closed.
  }
}
