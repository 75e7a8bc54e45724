import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import { isReason } from '@sampan/api/errors.ts';
import { offeredCpus } from './node-capacity.ts';

test('a node offers the CPUs it has, or as many as it was told to', () => {
  assert.equal(offeredCpus(''), availableParallelism());
  assert.equal(offeredCpus('16'), 16);
  for (const bad of ['0', '-1', '1.5', 'many', '99999'])
    assert.throws(
      () => offeredCpus(bad),
      (error) => isReason(error, 'Invalid'),
    );
});
