import assert from 'node:assert/strict';
import { test } from 'node:test';
import { affordableClones, CloneDemand, recentMs } from './clone-demand.ts';

/** What is wanted after machines were asked for at these times. */
function demandAfter(...timesMs: number[]): CloneDemand {
  const demand = new CloneDemand(timesMs[0]!);
  for (const time of timesMs) demand.note(time);
  return demand;
}

const every = (ms: number, count: number) => Array.from({ length: count }, (_, index) => index * ms);

test('machines asked for one after another want one clone', () => {
  assert.equal(demandAfter(...every(2_000, 100)).wanted(200_000), 1);
});

test('fifty at once want fifty, also when they could only be started over some seconds; fifty at half that pace want fewer', () => {
  assert.equal(demandAfter(...every(0, 50)).wanted(0), 50);
  assert.equal(demandAfter(...every(350, 50)).wanted(17_500), 50);
  assert.equal(demandAfter(...every(1_250, 50)).wanted(62_500), 26);
});

test('a crowd is remembered while single machines follow it, and forgotten in the end', () => {
  const demand = demandAfter(...every(0, 50), 60_000);
  assert.equal(demand.wanted(recentMs), 50);
  assert.equal(demand.wanted(recentMs + 1), 0);
  demand.note(recentMs + 2);
  assert.equal(demand.wanted(recentMs + 2), 1);
});

test('a smaller crowd takes the place of a larger one that is long ago', () => {
  const demand = demandAfter(...every(0, 50));
  for (let count = 0; count < 5; count++) demand.note(recentMs + 1);
  assert.equal(demand.wanted(recentMs + 1), 5);
});

test('clones take a quarter of the memory that nobody uses, and give it back when others do', () => {
  const gib = 2 ** 30;
  assert.equal(affordableClones(8 * gib, 0), 25);
  // Parking them does not make room for more, nor for fewer.
  assert.equal(affordableClones(8 * gib - 20 * 80 * 2 ** 20, 20), 25);
  assert.equal(affordableClones(2 * gib, 25), 12);
  assert.equal(affordableClones(0, 0), 0);
});
