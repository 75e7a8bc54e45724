import assert from 'node:assert/strict';
import { it } from 'node:test';
import { decideGarbage, excessBytes } from './garbage.ts';

const image = (id: string, lastUsedMs: number, pinned = false) => ({ id, freesBytes: 10, lastUsedMs, pinned });
const marks = { highPercent: 85, lowPercent: 70 };

it('nothing has to go while the disk is below the high mark, and all above the low one from there on', () => {
  assert.equal(excessBytes({ usedBytes: 84, capacityBytes: 100 }, marks), 0);
  assert.equal(excessBytes({ usedBytes: 85, capacityBytes: 100 }, marks), 15);
});

it('the longest unused images go until there is room enough', () => {
  const images = [image('new', 9), image('old', 1), image('middle', 5)];
  assert.deepEqual(decideGarbage(images, 0), []);
  assert.deepEqual(decideGarbage(images, 15), ['old', 'middle']);
});

it('pinned images stay even when that is not enough', () => {
  assert.deepEqual(decideGarbage([image('old', 1, true), image('new', 9)], 99), ['new']);
});

it('images used a moment ago stay', () => {
  assert.deepEqual(decideGarbage([image('old', 1), image('just', 6), image('then', 5)], 99, 5), ['old', 'then']);
});
