/** Time as a dependency: everything that waits or stamps asks a Clock, so that tests and the simulation can move it by hand. */
import { setTimeout as delay } from 'node:timers/promises';

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Milliseconds that never go back. */
  monotonicMs(): number;
  /** Resolves after `ms`; rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: async (ms, signal) => {
    let left = ms;
    for (; left > longestTimerMs; left -= longestTimerMs)
      await delay(longestTimerMs, undefined, signal ? { signal } : {});
    await delay(left, undefined, signal ? { signal } : {});
  },
};

/** Node's timers take no more, 24 days, and fire at once when asked for it; a grace period or a Job's time to live may well be longer. */
const longestTimerMs = 2 ** 31 - 1;

/** RFC 3339 with whole seconds, as Kubernetes' metav1.Time. */
export function toTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

/** RFC 3339 with microseconds, as Kubernetes' metav1.MicroTime. */
export function toMicroTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z');
}

/** A clock that moves only when told; sleepers wake in order of their deadlines. */
export class FakeClock implements Clock {
  #now: number;
  #sleepers: { at: number; wake: () => void }[] = [];

  constructor(startMs = 1_700_000_000_000) {
    this.#now = startMs;
  }

  now(): number {
    return this.#now;
  }

  monotonicMs(): number {
    return this.#now;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const sleeper = { at: this.#now + ms, wake: resolve };
      this.#sleepers.push(sleeper);
      signal?.addEventListener('abort', () => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
        reject(signal.reason);
      });
    });
  }

  /** Moves time forward, waking sleepers on the way and letting what they do run. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      const next = this.#sleepers.filter((sleeper) => sleeper.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.#sleepers = this.#sleepers.filter((other) => other !== next);
      this.#now = Math.max(this.#now, next.at);
      next.wake();
    }
    this.#now = end;
  }
}
