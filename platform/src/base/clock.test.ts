import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from './clock.ts';

test('a sleep of more than 24 days, the longest of timers, does not end at once', async () => {
  const enough = new AbortController();
  const asked = systemClock.sleep(30 * 24 * 3600_000, enough.signal).then(
    () => 'slept',
    () => 'given up',
  );
  const first = await Promise.race([asked, systemClock.sleep(50).then(() => 'still asleep')]);
  assert.equal(first, 'still asleep');
  enough.abort();
  assert.equal(await asked, 'given up');
});
