import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from './clock.ts';
import { within } from './within.ts';

/** Counts the timers that are still running. */
class CountingClock extends FakeClock {
  waiting = 0;

  override async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    this.waiting += 1;
    await super.sleep(ms, signal).finally(() => {
      this.waiting -= 1;
    });
  }
}

test('what is done in time is given or thrown, and no timer is left', async () => {
  const clock = new CountingClock();
  assert.deepEqual(await within(clock, 100, Promise.resolve(undefined)), { value: undefined });
  await assert.rejects(within(clock, 100, Promise.reject(new Error('broken'))), /broken/);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(clock.waiting, 0);
});

test('what takes too long is not waited for, and its failure is nobody’s', async () => {
  const clock = new FakeClock();
  const work = Promise.withResolvers<void>();
  const outcome = within(clock, 100, work.promise);
  await clock.advance(100);
  assert.equal(await outcome, undefined);
  work.reject(new Error('too late'));
  await new Promise((resolve) => setImmediate(resolve));
});
