/** Waits that are bounded and leave no timer behind. */
import type { Clock } from './clock.ts';

/**
 * What `work` gives, in an object that tells it from nothing; undefined when it was not done within `ms`. Throws what `work` throws in that time. The work goes
 * on, and its failure is nobody's then.
 */
export async function within<T>(clock: Clock, ms: number, work: Promise<T>): Promise<{ value: T } | undefined> {
  const enough = new AbortController();
  const late = clock.sleep(ms, enough.signal).then(
    () => undefined,
    () => undefined,
  );
  work.catch(() => {});
  try {
    return await Promise.race([work.then((value) => ({ value })), late]);
  } finally {
    enough.abort();
  }
}
