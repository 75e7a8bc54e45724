import assert from 'node:assert/strict';
import { test } from 'node:test';
import { restartAfter } from './back-off.ts';
import type { BackOff } from './model.ts';
import { ended, nowMs } from './test-view.ts';

/** Lives through runs of `ranMs` each and returns how long the container was kept back before each start. */
function waits(ranMs: number, count: number): number[] {
  let backOff: BackOff | undefined;
  let now = nowMs;
  return Array.from({ length: count }, () => {
    now += ranMs;
    const last = ended('a', 1, { finishedAtMs: now, ...(backOff ? { backOff } : {}) });
    const answer = restartAfter(last, now);
    const wait = answer.wait ? answer.untilMs - now : 0;
    now += wait;
    const start = restartAfter(last, now);
    assert.equal(start.wait, false);
    if (!start.wait) backOff = start.backOff;
    return wait / 1000;
  });
}

test('the delay doubles from 10 s to 5 minutes', () => {
  assert.deepEqual(waits(1000, 9), [0, 10, 20, 40, 80, 160, 300, 300, 300]);
});

test('a container that ran for more than ten minutes begins anew', () => {
  assert.deepEqual(waits(11 * 60_000, 4), [0, 0, 0, 0]);
});

test('a container that never ran is not kept back', () => {
  assert.deepEqual(restartAfter(undefined, nowMs), { wait: false });
});
