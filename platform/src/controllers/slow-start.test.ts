import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Expectations } from './expectations.ts';
import { slowStart } from './slow-start.ts';

test('batches double while all goes well', async () => {
  let running = 0;
  const together: number[] = [];
  const { done, error } = await slowStart(10, async (index) => {
    running += 1;
    await Promise.resolve();
    together.push(running);
    await Promise.resolve();
    running -= 1;
    return index;
  });
  assert.equal(error, undefined);
  assert.deepEqual(done, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.deepEqual(together, [1, 2, 2, 4, 4, 4, 4, 3, 3, 3]);
});

test('the first failure is the last batch, and what was done is told', async () => {
  let begun = 0;
  const { done, error } = await slowStart(500, async (index) => {
    begun += 1;
    if (index === 1) throw new Error('no room');
    return index;
  });
  assert.equal((error as Error).message, 'no room');
  assert.deepEqual([begun, done], [3, [0, 2]]);
});

test('a key waits until the latest of its writes was seen, and then no more', () => {
  const expectations = new Expectations();
  const written = (resourceVersion: string) => ({ metadata: { resourceVersion } });
  assert.ok(expectations.isSatisfied('a', 0));
  expectations.expect('a', written('7'));
  expectations.expect('a', written('5'));
  assert.equal(expectations.isSatisfied('a', 6), false);
  assert.ok(expectations.isSatisfied('b', 6));
  assert.ok(expectations.isSatisfied('a', 7));
  assert.ok(expectations.isSatisfied('a', 0));
});
