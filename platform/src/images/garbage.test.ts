import assert from 'node:assert/strict';
import { it } from 'node:test';
import { decideGarbage } from './garbage.ts';

const image = (id: string, lastUsedMs: number, pinned = false) => ({ id, freesBytes: 10, lastUsedMs, pinned });
const marks = { highPercent: 85, lowPercent: 70 };

it('nothing goes while the disk is below the high mark', () => {
  assert.deepEqual(decideGarbage([image('a', 1)], { usedBytes: 84, capacityBytes: 100 }, marks), []);
});

it('above it, the longest unused images go until the low mark is reached', () => {
  const images = [image('new', 9), image('old', 1), image('middle', 5)];
  assert.deepEqual(decideGarbage(images, { usedBytes: 85, capacityBytes: 100 }, marks), ['old', 'middle']);
});

it('pinned images stay even when that is not enough', () => {
  const images = [image('old', 1, true), image('new', 9)];
  assert.deepEqual(decideGarbage(images, { usedBytes: 99, capacityBytes: 100 }, marks), ['new']);
});
