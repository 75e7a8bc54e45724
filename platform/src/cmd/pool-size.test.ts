import assert from 'node:assert/strict';
import { test } from 'node:test';
import { poolSize } from './pool-size.ts';

const cores = 4;

test('a number that was asked for is that number, none among them', () => {
  for (const count of [0, 3]) {
    const size = { pool: count, reserve: 0, mostPool: count };
    assert.deepEqual(poolSize(String(count), { forCrowds: true, cores }), size);
  }
});

test('without a number one machine is kept, and where crowds come from a reserve that grows with the cores', () => {
  const size = (forCrowds: boolean, count = cores) => poolSize('', { forCrowds, cores: count });
  assert.deepEqual(size(false), { pool: 1, reserve: 0, mostPool: Number.POSITIVE_INFINITY });
  assert.ok(size(true).reserve > cores);
  assert.equal(size(true, 2 * cores).reserve, 2 * size(true).reserve);
});

test('what is no count is refused', () => {
  for (const text of ['many', '-1', '1.5', '10000'])
    assert.throws(() => poolSize(text, { forCrowds: true, cores }), /SAMPAN_POOL=.* is no count; wanted 0 to 9999/);
});
