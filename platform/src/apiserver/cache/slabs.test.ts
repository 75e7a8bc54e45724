import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as othersTurn } from 'node:timers/promises';
import { type Place, Slabs } from './slabs.ts';

const place = (): Place => ({ slab: undefined, start: 0, length: 0 });
const textOf = (slabs: Slabs, at: Place) => slabs.bytesOf(at)?.toString();

/** Repeatable numbers below `bound`. */
function numbers(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state % bound;
  };
}

test('every value reads as it was put, through any order of puts and drops', async () => {
  const slabs = new Slabs();
  const next = numbers(7);
  const held = new Map<Place, string>();
  let resting = Promise.resolve();
  for (let i = 0; i < 20_000; i++) {
    const isLong = next(500) === 0;
    const text = `${i}-é-${'x'.repeat(next(isLong ? 600_000 : 900))}`;
    const at = place();
    slabs.put(at, text);
    held.set(at, text);
    while (held.size > 300) {
      const old = [...held.keys()][next(held.size)]!;
      held.delete(old);
      slabs.drop(old);
      assert.equal(slabs.bytesOf(old), undefined);
    }
    // Goes on while it rests.
    if (i % 100 === 0) resting = resting.then(() => slabs.rest());
    if (next(10) === 0) await othersTurn();
  }
  await resting;
  for (const [at, text] of held) assert.ok(textOf(slabs, at) === text);
});

test('what is given back is used again: a value written over and over takes no more than a few blocks', () => {
  const slabs = new Slabs();
  const keepers = Array.from({ length: 50 }, (_, i) => {
    const at = place();
    slabs.put(at, `keeper ${i}`);
    return at;
  });
  const blocks = new Set<unknown>();
  let last = place();
  for (let i = 0; i < 50_000; i++) {
    const at = place();
    slabs.put(at, 'x'.repeat(1000));
    slabs.drop(last);
    last = at;
    blocks.add(at.slab?.bytes);
  }
  assert.ok(blocks.size <= 12, `${blocks.size} blocks`);
  for (const [i, at] of keepers.entries()) assert.equal(textOf(slabs, at), `keeper ${i}`);
});

test('giving back twice is giving back once', () => {
  const slabs = new Slabs();
  const [one, two] = [place(), place()];
  slabs.put(one, 'one');
  slabs.put(two, 'two');
  slabs.drop(one);
  slabs.drop(one);
  assert.equal(textOf(slabs, two), 'two');
  assert.equal(two.slab?.live, 3);
});

test('what rests is packed, what is read is not, and both read as they were put', async () => {
  const slabs = new Slabs();
  const all = Array.from({ length: 4000 }, (_, i) => {
    const at = place();
    slabs.put(at, `${i} ${'text '.repeat(100)}`);
    return at;
  });
  const unpacked = () => new Set(all.filter(({ slab }) => slab?.bytes).map(({ slab }) => slab)).size;
  const before = unpacked();
  assert.ok(before >= 8);
  const resting = slabs.rest();
  assert.equal(unpacked(), before - 1, 'one block, and then it is the turn of others');
  await resting;
  assert.equal(unpacked(), 1, 'only the open block is as it was');
  for (const [i, at] of all.entries()) assert.ok(textOf(slabs, at)?.startsWith(`${i} text`));
  assert.equal(unpacked(), before);
  await slabs.rest();
  assert.equal(unpacked(), before, 'just read');
  for (let turn = 0; turn < 20; turn++) {
    await slabs.rest();
    textOf(slabs, all[0]!);
  }
  assert.equal(unpacked(), 2, 'the open one and the one that is read');
});

test('what does not become smaller is left as it is', async () => {
  const slabs = new Slabs();
  const next = numbers(3);
  const at = place();
  slabs.put(at, Array.from({ length: 100_000 }, () => String.fromCharCode(32 + next(95))).join(''));
  const was = at.slab?.bytes;
  for (let turn = 0; turn < 50; turn++) await slabs.rest();
  assert.equal(at.slab?.bytes, was);
});
