/**
 * Fan-out of committed events to watchers, shared by the drivers that commit in this process.
 *
 * Owns: each watcher's bounded buffer and its place in the sequence. Does not own: history; a driver hands in how to read it.
 *
 *   watch(after) -> subscribed at revision R -> reads history (after, R] page by page -> drains the buffer (> R) -> live
 *                                          a buffer over its bound, at any point -> cut off with Expired
 */
import { SampanError } from '@sampan/api/errors.ts';
import type { StoreEvent } from './store.ts';

export interface WatchLimits {
  maxEvents: number;
  maxBytes: number;
}

export const defaultWatchLimits: WatchLimits = { maxEvents: 10_000, maxBytes: 64 << 20 };

/** Reads events with from < revision <= to under a prefix, a page at a time, whole revisions only; throws Expired when compacted. */
export type ReadHistory = (prefix: string, from: number, to: number) => { events: StoreEvent[]; upTo: number };

interface Watcher {
  prefix: string;
  buffer: StoreEvent[];
  bytes: number;
  overflowed: boolean;
  wake: () => void;
}

export class WatchHub {
  readonly #watchers = new Set<Watcher>();
  readonly #limits: WatchLimits;
  #closed = false;

  constructor(limits: WatchLimits = defaultWatchLimits) {
    this.#limits = limits;
  }

  /** Called once per committed revision, in order, after it is durable. */
  publish(events: StoreEvent[]): void {
    for (const watcher of this.#watchers) {
      for (const event of events) {
        if (!watcher.overflowed && event.key.startsWith(watcher.prefix)) this.#push(watcher, event);
      }
    }
  }

  #push(watcher: Watcher, event: StoreEvent): void {
    watcher.bytes += event.value?.length ?? 0;
    if (watcher.buffer.length >= this.#limits.maxEvents || watcher.bytes > this.#limits.maxBytes) {
      watcher.overflowed = true;
      watcher.buffer = [];
    } else {
      watcher.buffer.push(event);
    }
    watcher.wake();
  }

  /** Ends every watch. */
  close(): void {
    this.#closed = true;
    for (const watcher of this.#watchers) watcher.wake();
  }

  /** The generator runs its first lines at the first `next()`: subscription and `current` are taken together there. */
  async *watch(options: {
    prefix: string;
    after: number;
    signal: AbortSignal;
    current: () => number;
    readHistory: ReadHistory;
  }): AsyncGenerator<StoreEvent[]> {
    const { prefix, after, signal, readHistory } = options;
    const watcher: Watcher = { prefix, buffer: [], bytes: 0, overflowed: false, wake: () => {} };
    this.#watchers.add(watcher);
    const onAbort = () => watcher.wake();
    signal.addEventListener('abort', onAbort);
    try {
      const subscribedAt = options.current();
      for (let from = after; from < subscribedAt && !signal.aborted && !this.#closed; ) {
        const page = readHistory(prefix, from, subscribedAt);
        if (page.events.length > 0) yield page.events;
        from = page.upTo;
      }
      while (!signal.aborted && !this.#closed) {
        const events = await this.#take(watcher, signal);
        const news = events.filter((event) => event.revision > after);
        if (news.length > 0) yield news;
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#watchers.delete(watcher);
    }
  }

  async #take(watcher: Watcher, signal: AbortSignal): Promise<StoreEvent[]> {
    if (watcher.buffer.length === 0 && !watcher.overflowed && !signal.aborted && !this.#closed) {
      await new Promise<void>((resolve) => {
        watcher.wake = resolve;
      });
      watcher.wake = () => {};
    }
    if (signal.aborted || this.#closed) return [];
    if (watcher.overflowed) {
      throw new SampanError('Expired', `a watch of "${watcher.prefix}" read too slowly and was cut off; list again`);
    }
    const events = watcher.buffer;
    watcher.buffer = [];
    watcher.bytes = 0;
    return events;
  }
}
