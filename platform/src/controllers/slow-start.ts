/** Doing the same many times: one, then two, then four at once, so that what cannot succeed fails once and not five hundred times. */

/** Returns what was done, and the first error after which nothing more was begun. */
export async function slowStart<T>(
  count: number,
  work: (index: number) => Promise<T>,
): Promise<{ done: T[]; error?: unknown }> {
  const done: T[] = [];
  for (let begun = 0, batch = 1; begun < count; batch *= 2) {
    const size = Math.min(batch, count - begun);
    const results = await Promise.allSettled(Array.from({ length: size }, (_, i) => work(begun + i)));
    begun += size;
    for (const result of results) if (result.status === 'fulfilled') done.push(result.value);
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) return { done, error: failed.reason };
  }
  return { done };
}
