/** Notices that the other side has gone silent. Time during which our own side is busy does not count. */
import type { Clock } from '../../../base/clock.ts';

export class StallGuard {
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #stop = new AbortController();
  #since: number;
  #paused = false;

  /** Starts watching; `onStall` is called at most once. */
  constructor(options: { clock: Clock; limitMs: number; onStall: () => void }) {
    this.#clock = options.clock;
    this.#limitMs = options.limitMs;
    this.#since = this.#clock.monotonicMs();
    void this.#watch(options.onStall);
  }

  progress(): void {
    this.#since = this.#clock.monotonicMs();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.progress();
  }

  stop(): void {
    this.#stop.abort();
  }

  async #watch(onStall: () => void): Promise<void> {
    try {
      for (;;) {
        const idleMs = this.#paused ? 0 : this.#clock.monotonicMs() - this.#since;
        if (idleMs >= this.#limitMs) return onStall();
        await this.#clock.sleep(this.#limitMs - idleMs, this.#stop.signal);
      }
    } catch {
      // Stopped.
    }
  }
}
