/** A guest may say small things now and then, not without end: each would cost the server more than it costs the guest. */
import type { Clock } from '../../base/clock.ts';
import { ProtocolViolation } from './frames.ts';

const burst = 2000;
const refillPerSecond = 200;

/** A bucket of tokens for what flow control does not bound: events, and word about streams that are closed on our side. */
export class FloodGuard {
  readonly #clock: Clock;
  #tokens = burst;
  #last: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#last = clock.monotonicMs();
  }

  /** Throws ProtocolViolation when there was too much of it. */
  count(what: string): void {
    const now = this.#clock.monotonicMs();
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#last) / 1000) * refillPerSecond);
    this.#last = now;
    if (this.#tokens < 1) throw new ProtocolViolation(`a flood of ${what}`);
    this.#tokens -= 1;
  }
}
