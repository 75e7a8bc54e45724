import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  difference,
  equalSets,
  type FieldSet,
  innermost,
  inOrder,
  intersection,
  isEmptySet,
  parseFieldSet,
  pathsOf,
  pathText,
  union,
} from './field-set.ts';
import { randomFrom, seedOf } from './random.test-support.ts';

const paths = (set: FieldSet) => new Set([...pathsOf(set)].map((path) => path.join('/')));
const set = (text: string) => parseFieldSet(JSON.parse(text));

/** A set out of few names, so that two of them often meet. */
function randomSet(random: () => number, depth = 0): FieldSet {
  const made: Record<string, FieldSet> = {};
  for (const name of ['f:a', 'f:b', 'k:{"name":"x"}', 'v:1']) {
    if (random() < 0.5) continue;
    made[name] = depth < 3 && random() < 0.7 ? randomSet(random, depth + 1) : {};
  }
  return depth > 0 && random() < 0.3 ? { '.': {}, ...made } : made;
}

describe('sets of fields', () => {
  const seed = seedOf('FIELD_SET_SEED');
  test(`do as the sets of their paths do (seed ${seed})`, () => {
    const random = randomFrom(seed);
    for (let round = 0; round < 2000; round++) {
      const [a, b] = [parseFieldSet(randomSet(random)), parseFieldSet(randomSet(random))];
      const [left, right] = [paths(a), paths(b)];
      const why = `seed ${seed}: ${JSON.stringify(a)} and ${JSON.stringify(b)}`;
      assert.deepEqual(paths(union(a, b)), left.union(right), why);
      assert.deepEqual(paths(difference(a, b)), left.difference(right), why);
      assert.deepEqual(paths(intersection(a, b)), left.intersection(right), why);
      const isInner = (path: string) => ![...left].some((other) => other.startsWith(`${path}/`));
      assert.deepEqual(paths(innermost(a)), new Set([...left].filter(isInner)), why);
    }
  });

  test(`leave no trace of what is taken out, and are alike however they came to be (seed ${seed})`, () => {
    const random = randomFrom(seed);
    for (let round = 0; round < 500; round++) {
      const [a, b] = [parseFieldSet(randomSet(random)), parseFieldSet(randomSet(random))];
      assert.ok(isEmptySet(difference(a, a)));
      const both = union(a, b);
      assert.ok(equalSets(both, union(difference(a, b), b)));
      assert.equal(JSON.stringify(inOrder(union(a, b))), JSON.stringify(inOrder(union(b, a))));
    }
  });

  test('tell the path that leads somewhere from those beneath it', () => {
    const whole = set('{"f:a":{".":{},"f:b":{}}}');
    assert.deepEqual(difference(whole, set('{"f:a":{}}')), { 'f:a': { 'f:b': {} } });
    assert.deepEqual(difference(whole, set('{"f:a":{"f:b":{}}}')), { 'f:a': {} });
  });

  test('are read in whatever spelling a client writes keys', () => {
    assert.deepEqual(set('{"f:p":{"k:{ \\"protocol\\":\\"TCP\\", \\"port\\":80}":{}}}'), {
      'f:p': { 'k:{"port":80,"protocol":"TCP"}': {} },
    });
  });

  test('are refused when they are none', () => {
    for (const text of ['[]', '1', '{"a":{}}', '{"f:a":1}', '{"k:x":{}}', '{"k:[]":{}}', '{"i:x":{}}', '{".":{}}']) {
      assert.throws(() => set(text), /fieldsV1/, text);
    }
    let deep = {};
    for (let i = 0; i < 200; i++) deep = { 'f:a': deep };
    assert.throws(() => parseFieldSet(deep), /fieldsV1/);
  });
});

test('paths read as Kubernetes writes them', () => {
  assert.equal(
    pathText(['f:spec', 'f:ports', 'k:{"port":80,"protocol":"TCP"}', 'f:a.b/c']),
    '.spec.ports[port=80,protocol="TCP"].a.b/c',
  );
  assert.equal(pathText(['f:metadata', 'f:finalizers', 'v:"x"']), '.metadata.finalizers[="x"]');
});
