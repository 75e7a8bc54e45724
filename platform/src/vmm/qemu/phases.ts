/** How long each step of a start took, for the debug log. */
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';

export class Phases {
  readonly #clock: Clock;
  readonly #begin: number;
  #last: number;
  readonly #tookMs: Record<string, number> = {};

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#begin = clock.monotonicMs();
    this.#last = this.#begin;
  }

  /** Names the step that has just ended. */
  end(name: string): void {
    const now = this.#clock.monotonicMs();
    this.#tookMs[name] = tenths(now - this.#last);
    this.#last = now;
  }

  log(log: Logger, fields: object): void {
    log.debug(
      { ...fields, ms: this.#tookMs, totalMs: tenths(this.#clock.monotonicMs() - this.#begin) },
      'machine started',
    );
  }
}

const tenths = (ms: number): number => Math.round(ms * 10) / 10;
