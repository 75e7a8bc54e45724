/** Container events to any number of watchers. A watcher that does not read loses the oldest: each event carries the whole state. */
import type * as cri from './generated/cri.ts';

const keptEvents = 1000;

export class EventHub {
  readonly #signal: AbortSignal;
  readonly #watchers = new Set<{ queue: cri.ContainerEventResponse[]; wake: () => void }>();

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** False spares the caller making the event. */
  get watched(): boolean {
    return this.#watchers.size > 0;
  }

  publish(event: cri.ContainerEventResponse): void {
    for (const watcher of this.#watchers) {
      if (watcher.queue.length >= keptEvents) watcher.queue.shift();
      watcher.queue.push(event);
      watcher.wake();
    }
  }

  /** Subscribed from the call on (not from the first read); ends when the runtime closes or the reader stops. */
  watch(): AsyncIterableIterator<cri.ContainerEventResponse> {
    const watcher = { queue: [] as cri.ContainerEventResponse[], wake: () => {} };
    this.#watchers.add(watcher);
    let over = this.#signal.aborted;
    const end = () => {
      over = true;
      this.#watchers.delete(watcher);
      watcher.wake();
    };
    this.#signal.addEventListener('abort', end, { once: true });
    const next = async (): Promise<IteratorResult<cri.ContainerEventResponse>> => {
      while (!over && watcher.queue.length === 0) await new Promise<void>((resolve) => (watcher.wake = resolve));
      const value = watcher.queue.shift();
      return value && !over ? { done: false, value } : { done: true, value: undefined };
    };
    const finish = async () => {
      end();
      return { done: true as const, value: undefined };
    };
    return { next, return: finish, [Symbol.asyncIterator]: () => ({ next, return: finish }) as never };
  }
}
