import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Coalescer } from './coalesce.ts';

test('a lone caller goes at once, and those who come meanwhile go together', async () => {
  const batches: number[][] = [];
  const coalescer = new Coalescer<number>(async (items) => {
    batches.push(items);
    await new Promise((resolve) => setImmediate(resolve));
    return items.map(() => undefined);
  });
  await Promise.all([1, 2, 3, 4].map((item) => coalescer.run(item)));
  assert.deepEqual(batches, [[1], [2, 3, 4]]);
});

test('one failure is its own caller’s, and a batch that throws is everybody’s', async () => {
  const coalescer = new Coalescer<string>(async (items) => {
    if (items.includes('throw')) throw new Error('all');
    return items.map((item) => (item === 'bad' ? new Error('bad') : undefined));
  });
  const outcomes = async (items: string[]) =>
    (await Promise.allSettled(items.map((item) => coalescer.run(item)))).map((one) => one.status);
  assert.deepEqual(await outcomes(['good', 'bad', 'good']), ['fulfilled', 'rejected', 'fulfilled']);
  assert.deepEqual(await outcomes(['first', 'throw', 'other']), ['fulfilled', 'rejected', 'rejected']);
});
