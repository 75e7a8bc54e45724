import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { equalJson, isJsonObject, type JsonObject } from '../json.ts';
import { allKinds } from '../kinds/all.ts';
import { typeNameOf } from '../schema/schema.ts';
import { configurationProblems } from './check.ts';
import { compare, fieldsOf } from './compare.ts';
import { difference, emptySet, intersection, isEmptySet } from './field-set.ts';
import { mergeApplied, prune } from './merge.ts';
import { applyConfiguration } from './ownership.ts';
import { isSharedObject, memberOf } from './parts.ts';
import { randomFrom, randomValue, seedOf } from './random.test-support.ts';
import { type Structure, structureOf } from './structure.ts';

const rounds = 60;
const none = {};

/** Neither empty lists and maps nor what holds nothing else: they leave no trace in an object that is stored. */
function withoutEmpty(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutEmpty);
  if (!isJsonObject(value)) return value;
  const members = Object.entries(value).map(([name, member]): [string, unknown] => [name, withoutEmpty(member)]);
  return Object.fromEntries(members.filter(([, member]) => !isEmpty(member)));
}

function isEmpty(value: unknown): boolean {
  return Array.isArray(value) ? value.length === 0 : isJsonObject(value) && Object.keys(value).length === 0;
}

/** Elements of lists get the keys they need, and sets lose what they have twice. */
function toldApart(structure: Structure, value: unknown): unknown {
  if (isSharedObject(structure, value)) {
    const members = Object.entries(value).map(([name, member]): [string, unknown] => [
      name,
      toldApart(memberOf(structure, name), member),
    ]);
    return Object.fromEntries(members);
  }
  if (!Array.isArray(value)) return value;
  if (structure.form === 'values') return [...new Set(value)];
  if (structure.form !== 'keyed') return value;
  return value.map((item, index) => ({
    ...(toldApart(structure.of, item) as object),
    ...Object.fromEntries(structure.keys.map((key) => [key, `${key}-${index}`])),
  }));
}

describe('objects of every kind', () => {
  const seed = seedOf('APPLY_KINDS_SEED');
  for (const kind of allKinds) {
    const { ref } = kind;
    const name = typeNameOf(ref.group, ref.version, kind.kind);
    test(`${name} is merged, compared and taken apart without loss (seed ${seed})`, () => {
      const structure = structureOf(kind);
      const random = randomFrom(seed);
      const one = () => toldApart(structure, withoutEmpty(randomValue({ form: 'struct', name }, random))) as JsonObject;
      for (let round = 0; round < rounds; round++) {
        const [a, b] = [one(), one()];
        assert.deepEqual([...configurationProblems(structure, a), ...configurationProblems(structure, b)], []);
        const why = `seed ${seed}: ${JSON.stringify([a, b])}`;
        assert.ok(equalJson(mergeApplied(structure, none, a), a), why);
        assert.ok(equalJson(mergeApplied(structure, a, a), a), why);
        const same = compare(structure, a, a);
        assert.ok(isEmptySet(same.changed) && isEmptySet(same.removed), why);
        const { changed } = compare(structure, a, b);
        assert.ok(isEmptySet(difference(difference(fieldsOf(structure, b), changed), fieldsOf(structure, a))), why);
        const all = fieldsOf(structure, a);
        assert.ok(equalJson(prune(structure, a, all, none), none), why);
        assert.equal(prune(structure, a, all, all), a, why);
        const write = { structure, before: none, owners: [], time: '2024-01-01T00:00:00Z', reaches: () => true };
        const by = { manager: 'm', operation: 'Apply', apiVersion: ref.version } as const;
        const made = applyConfiguration({ ...write, by }, a, false);
        assert.ok(!made.conflicts, why);
        const next = applyConfiguration({ ...write, by, before: made.object, owners: made.owners }, b, false);
        assert.ok(!next.conflicts, why);
        assert.ok(isEmptySet(compare(structure, next.object, mergeApplied(structure, next.object, b)).changed), why);
        const [before = emptySet, after = emptySet] = [made, next].map(({ owners }) => owners[0]?.fieldsV1);
        const left = intersection(difference(before, after), fieldsOf(structure, next.object));
        assert.ok(isEmptySet(left), `${JSON.stringify(left)} is left: ${why}`);
      }
    });
  }
});
