/** Events to any number of readers, each from the moment it asked. A reader that falls too far behind is ended with an error, never cut short in silence. */
import { SampanError } from '@sampan/api/errors.ts';
import type { BundleEvent } from './bundle-runtime.ts';

const mostBehind = 4096;

interface Reader {
  queue: BundleEvent[];
  error?: Error;
  wake: () => void;
}

export class EventFeed {
  readonly #readers = new Set<Reader>();

  tell(event: BundleEvent): void {
    for (const reader of this.#readers) {
      if (reader.queue.length >= mostBehind) {
        reader.error = new SampanError('ResourceExhausted', `a reader of events is ${mostBehind} events behind`);
        this.#readers.delete(reader);
      } else reader.queue.push(event);
      reader.wake();
    }
  }

  /** Subscribed from the call on, not from the first read. */
  read(signal: AbortSignal): AsyncIterable<BundleEvent> {
    const reader: Reader = { queue: [], wake: () => {} };
    this.#readers.add(reader);
    signal.addEventListener('abort', () => reader.wake(), { once: true });
    return { [Symbol.asyncIterator]: () => this.#follow(reader, signal) };
  }

  async *#follow(reader: Reader, signal: AbortSignal): AsyncGenerator<BundleEvent, void, void> {
    try {
      while (!signal.aborted) {
        const event = reader.queue.shift();
        if (event) yield event;
        else if (reader.error) throw reader.error;
        else
          await new Promise<void>((resolve) => {
            reader.wake = resolve;
          });
      }
    } finally {
      this.#readers.delete(reader);
    }
  }
}
