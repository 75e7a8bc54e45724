/** Trying again what failed in passing: an unreachable or overloaded registry, a connection that broke. */
import { isReason } from '@sampan/api/errors.ts';
import type { Clock } from '../../../base/clock.ts';

const baseDelayMs = 250;
const maxDelayMs = 30_000;

export interface RetryOptions {
  clock: Clock;
  /** Tries in a row without progress. */
  attempts: number;
  signal?: AbortSignal | undefined;
}

/** Runs `work` until it succeeds or fails for good; `work` returns normally or throws, and says by `progressed` that a failure came after progress. */
export async function retrying<T>(options: RetryOptions, work: (progressed: () => void) => Promise<T>): Promise<T> {
  let failures = 0;
  for (;;) {
    try {
      return await work(() => {
        failures = 0;
      });
    } catch (error) {
      if (!isReason(error, 'ServiceUnavailable', 'TooManyRequests') || ++failures >= options.attempts) throw error;
      const askedMs = (error.details.retryAfterSeconds ?? 0) * 1000;
      if (askedMs > maxDelayMs) throw error;
      await options.clock.sleep(Math.max(askedMs, baseDelayMs * 2 ** (failures - 1)), options.signal);
    }
  }
}
