import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LaneEnd } from './run-lane.ts';
import { verdict, worthAnotherTry } from './unsteady.ts';

const counts = new Map([
  ['tests', 10],
  ['pass', 9],
  ['fail', 1],
]);
const green: LaneEnd = { code: 0, counts: new Map([['tests', 5]]), failed: [] };
const red = (...failed: string[]): LaneEnd => ({ code: 1, counts, failed });

test('a few files that failed are run again; many, or a run that fell over as a whole, are not', () => {
  assert.deepEqual(worthAnotherTry([green, red('a.test.ts')]), ['a.test.ts']);
  assert.deepEqual(worthAnotherTry([red('a', 'b'), red('b', 'c')]), ['a', 'b', 'c']);
  assert.deepEqual(worthAnotherTry([red('a', 'b'), red('c', 'd')]), []);
  assert.deepEqual(worthAnotherTry([green, green]), []);
  assert.deepEqual(worthAnotherTry([red('a'), { code: 139, counts: new Map(), failed: [] }]), []);
});

test('what passes by itself is named and fails no run; what fails twice does', () => {
  const ends = [green, red('a', 'b')];
  const passed = verdict(ends, new Map(['a', 'b'].map((file) => [file, green])));
  assert.equal(passed.isGreen, true);
  assert.deepEqual(passed.lines, [
    'all tests: tests 15, pass 9, fail 0, unsteady 1, cancelled 0, skipped 0',
    'unsteady: a failed, and passed when it was run again by itself: look for a race',
    'unsteady: b failed, and passed when it was run again by itself: look for a race',
  ]);
  const twice = verdict(
    ends,
    new Map([
      ['a', green],
      ['b', red('b')],
    ]),
  );
  assert.equal(twice.isGreen, false);
  assert.match(twice.lines[0]!, /, fail 1, cancelled/);
  assert.equal(twice.lines.at(-1), 'failed: b, twice');
});

test('a run that was not tried again ends as it did', () => {
  assert.equal(verdict([green, green], new Map()).isGreen, true);
  assert.equal(verdict([green, red('a')], new Map()).isGreen, false);
  assert.equal(verdict([{ code: 139, counts: new Map(), failed: [] }], new Map()).isGreen, false);
});
