import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isReason, type SampanError } from '@sampan/api/errors.ts';
import { masters, nodesGroup } from '../auth/user.ts';
import { WatchSlots } from './watch-slots.ts';

const somebody = { name: 'ann', groups: [] };
const admin = { name: 'root', groups: [masters] };

test('watches beyond the bound are refused with when to come back, and places are given back', () => {
  const slots = new WatchSlots(2);
  const [release] = [slots.take(somebody), slots.take(somebody)];
  assert.throws(
    () => slots.take(somebody),
    (error: SampanError) => isReason(error, 'TooManyRequests') && Number(error.details.retryAfterSeconds) >= 5,
  );
  release!();
  slots.take(somebody);
});

test('the admin and the nodes have some places of their own, and not without end', () => {
  const slots = new WatchSlots(20);
  for (let i = 0; i < 20; i++) slots.take(somebody);
  slots.take(admin);
  slots.take({ name: 'system:node:a', groups: [nodesGroup] });
  for (const one of [admin, somebody]) assert.throws(() => slots.take(one), /22 watches are open/);
});
