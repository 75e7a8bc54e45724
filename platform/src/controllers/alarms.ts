/** Wakes keys of a work queue at a time. One alarm a key is enough: who is woken decides anew and sets the next one. */
import type { Clock } from '../base/clock.ts';

/** A timer can hold no more than 24 days; waking early costs one look. */
const longestMs = 86_400_000;

export class Alarms {
  readonly #clock: Clock;
  readonly #wake: (key: string) => void;
  readonly #at = new Map<string, number>();
  readonly #stop = new AbortController();

  constructor(clock: Clock, wake: (key: string) => void) {
    this.#clock = clock;
    this.#wake = wake;
  }

  /** `atMs` is a time of the clock; one that has passed wakes at once. An alarm that rings earlier makes this one needless. */
  set(key: string, atMs: number): void {
    const nowMs = this.#clock.now();
    const ringsAt = Math.min(Math.max(atMs, nowMs), nowMs + longestMs);
    if ((this.#at.get(key) ?? Number.POSITIVE_INFINITY) <= ringsAt) return;
    this.#at.set(key, ringsAt);
    this.#clock.sleep(ringsAt - nowMs, this.#stop.signal).then(
      () => {
        if (this.#at.get(key) !== ringsAt) return;
        this.#at.delete(key);
        this.#wake(key);
      },
      () => {},
    );
  }

  close(): void {
    this.#stop.abort();
    this.#at.clear();
  }
}
