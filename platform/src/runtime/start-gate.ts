/**
 * How many machines and containers are on their way up at a time. Starting one is all CPU: many at once would share the cores and all come up
 * together at the end, each costing more for the caches they take from one another. So they come up a few at a time, and what was
 * begun is finished first. Owns the queue only; a start that takes long gives its place away and goes on without it.
 */
import type { Clock } from '../base/clock.ts';

export type StartPhase = 'machine' | 'container';

export interface StartGateOptions {
  places: number;
  clock: Clock;
  /** A place is held no longer than this. */
  longestMs?: number;
}

export class StartGate {
  readonly #clock: Clock;
  readonly #longestMs: number;
  readonly #waiting: Record<StartPhase, (() => void)[]> = { container: [], machine: [] };
  #free: number;

  constructor({ places, clock, longestMs = 5_000 }: StartGateOptions) {
    this.#free = places;
    this.#clock = clock;
    this.#longestMs = longestMs;
  }

  /** Resolves when it is this start's turn, with what ends the turn (idempotent). */
  async enter(phase: StartPhase): Promise<() => void> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting[phase].push(resolve));
    const done = new AbortController();
    const leave = () => {
      if (done.signal.aborted) return;
      done.abort();
      this.#pass();
    };
    this.#clock.sleep(this.#longestMs, done.signal).then(leave, () => {});
    return leave;
  }

  #pass(): void {
    const next = this.#waiting.container.shift() ?? this.#waiting.machine.shift();
    if (next) next();
    else this.#free++;
  }
}
