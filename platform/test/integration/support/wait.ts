/** Waiting in tests: until something is so, with a message when it never is. */
import { setTimeout as delay } from 'node:timers/promises';

/** Polls `probe` until it returns something other than undefined or false. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined | false>,
  timeoutMs = 60_000,
): Promise<T> {
  let last: unknown;
  for (const endMs = performance.now() + timeoutMs; performance.now() < endMs; await delay(50)) {
    try {
      const found = await probe();
      if (found !== undefined && found !== false) return found as T;
    } catch (error) {
      last = error;
    }
  }
  throw new Error(`never came: ${what}${last ? ` (last error: ${last})` : ''}`);
}
