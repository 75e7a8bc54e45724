/** How fresh a read has to be: what a resourceVersion in a request asks of the cache. */
import { SampanError } from '@sampan/api/errors.ts';
import type { VerbContext } from './context.ts';

/** Absent: everything committed so far. 0: whatever the cache has. Otherwise at least that version. */
export async function waitFor(context: VerbContext, version: number | undefined): Promise<void> {
  if (version === 0) return;
  if (version === undefined) return context.cache.fresh();
  const current = await context.store.revision();
  if (version > current) {
    throw new SampanError('Timeout', `Too large resource version: ${version}, current: ${current}`, {
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
      retryAfterSeconds: 1,
    });
  }
  await context.cache.reach(version);
}
