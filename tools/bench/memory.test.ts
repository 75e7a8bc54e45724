import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type VmmMemory, withoutTranslations } from './memory.ts';

const of = (tcg: number, anonymous: number): VmmMemory => {
  const own = anonymous + 6;
  return { guestPrivate: 5, guestShared: 1, tcg, own, anonymous, total: 6 + tcg + own };
};

test('what a VMM’s anonymous memory grew by since its guest was resumed is TCG’s, with the table it began with; the sum stays', () => {
  const told = withoutTranslations(of(28, 14), of(2, 9.5));
  assert.deepEqual(told, { guestPrivate: 5, guestShared: 1, tcg: 33, own: 15, anonymous: 9, total: 54 });
  assert.equal(told.guestPrivate + told.guestShared + told.tcg + told.own, told.total);
});

test('a VMM that shrank has nothing of TCG’s but that table, and one with KVM nothing at all', () => {
  assert.equal(withoutTranslations(of(28, 9), of(2, 9.5)).own, 14.5);
  assert.deepEqual(withoutTranslations(of(0, 14), of(0, 9.5)), of(0, 14));
});
