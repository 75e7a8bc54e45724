/** Events since the beginning, for any number of readers. Bounded: the oldest go when there are too many. */

const maxEvents = 4096;

export class EventLog<T> {
  #events: T[] = [];
  /** How many were dropped before the first in #events. */
  #dropped = 0;
  #finished = false;
  #wakers = new Set<() => void>();

  add(event: T): void {
    if (this.#finished) return;
    this.#events.push(event);
    if (this.#events.length > maxEvents) this.#dropped += this.#events.splice(0, maxEvents / 4).length;
    for (const wake of this.#wakers) wake();
  }

  /** Adds the last event there will be. */
  finish(event: T): void {
    this.add(event);
    this.#finished = true;
  }

  /** All events from the first; ends after the last, or when the signal aborts. */
  async *read(signal: AbortSignal): AsyncGenerator<T, void, void> {
    for (let next = 0; !signal.aborted; ) {
      next = Math.max(next, this.#dropped);
      const event = this.#events[next - this.#dropped];
      if (event !== undefined) {
        next += 1;
        yield event;
      } else if (this.#finished) return;
      else await this.#more(signal);
    }
  }

  async #more(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = () => {
        this.#wakers.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#wakers.add(wake);
      signal.addEventListener('abort', wake);
    });
  }
}
