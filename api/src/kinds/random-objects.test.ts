import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { KubeObject } from '../client.ts';
import { equalJson } from '../json.ts';
import type { Kind } from '../kind.ts';
import { applyStrategicMergePatch } from '../patch/strategic-merge-patch.ts';
import { type FieldType, structType, typeNameOf } from '../schema/schema.ts';
import { allKinds } from './all.ts';

/** Mulberry32: small, seeded, good enough to pick fields with. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const words = [
  '',
  'a',
  'Always',
  'None',
  'a.b/c',
  '$(X)',
  '../x',
  '10.0.0.1',
  "metadata.labels['x']",
  'UP',
  ' ',
  'In',
  'ü',
];
const scalars: Record<string, unknown[]> = {
  string: words,
  bool: [true, false],
  int32: [0, 1, -1, 80, 2147483647],
  int64: [0, 1, -1, 4294967296],
  float64: [0, 0.5],
  bytes: ['', 'YQ=='],
  time: ['2024-01-01T00:00:00Z', '2024-01-01T02:00:00.5+02:00'],
  microtime: ['2024-01-01T00:00:00.000001Z'],
  quantity: ['0', '1', '500m', '1Gi', '-1', 2, 0.1],
  intorstr: [80, 'http', 0, ''],
  any: [{}, null, 'x', [1]],
};

/** Members of JSONSchemaProps that are schemas themselves, though the generated type lets them be anything. */
const schemaParts = new Set(['items', 'additionalProperties']);

/** A value of the type, of any structure the decoder lets through: nulls, empty lists and missing fields included. */
function randomValue(type: FieldType, random: () => number, depth: number): unknown {
  const pick = <T>(options: readonly T[]) => options[Math.floor(random() * options.length)]!;
  if (random() < 0.05) return null;
  if (type.form === 'scalar') return pick(scalars[type.scalar]!);
  const some = () => Array.from({ length: depth > 8 ? 0 : Math.floor(random() * 3) });
  if (type.form === 'array') return some().map(() => randomValue(type.of, random, depth + 1));
  if (type.form === 'map')
    return Object.fromEntries(some().map(() => [pick(words), randomValue(type.of, random, depth + 1)]));
  const chance = depth < 3 ? 0.6 : 0.25;
  const fields = [...structType(type.name).fields].filter(([name]) => random() < chance || name === 'name');
  return Object.fromEntries(
    fields.map(([name, of]) => [
      name,
      type.name.endsWith('.JSONSchemaProps') && schemaParts.has(name) ? {} : randomValue(of, random, depth + 1),
    ]),
  );
}

function randomObject(kind: Kind, seed: number): KubeObject {
  const name = typeNameOf(kind.ref.group, kind.ref.version, kind.kind);
  const object = randomValue({ form: 'struct', name }, randomFrom(seed), 0) as KubeObject | null;
  return { ...object, metadata: object?.metadata ?? {} };
}

const seeds = Array.from({ length: 120 }, (_, i) => i + 1);

describe('whatever the decoder lets through', () => {
  for (const kind of allKinds) {
    it(`is judged, shown and updated as a ${kind.kind} without a fault of ours`, () => {
      for (const seed of seeds) {
        const object = randomObject(kind, seed);
        const why = `seed ${seed}`;
        assert.deepEqual(kind.checkStructure(object), { wrongTypes: [], unknownFields: [] }, why);
        kind.applyDefaults(object);
        const once = structuredClone(object);
        kind.applyDefaults(object);
        assert.deepEqual(object, once, `${why}: defaults are idempotent`);
        kind.prepareCreate(object);
        for (const cause of kind.validateCreate(object)) assert.ok(cause.field !== undefined && cause.message, why);
        assert.equal(kind.row(object, 0).length, kind.columns.length, why);

        const other = randomObject(kind, seed + 1000);
        kind.applyDefaults(other);
        for (const target of ['object', ...kind.subresources] as const) {
          const next = structuredClone(other);
          kind.prepareUpdate(next, object, target);
          kind.validateUpdate(next, object, target);
        }
        assert.ok(kind.checkStructure(object).wrongTypes.length === 0, `${why}: still of its kind`);
      }
    });

    it(`survives JSON as a ${kind.kind}, and a patch of nothing changes nothing`, () => {
      for (const seed of seeds.slice(0, 50)) {
        const object = randomObject(kind, seed);
        kind.applyDefaults(object);
        assert.ok(equalJson(JSON.parse(JSON.stringify(object)), object), `seed ${seed}`);
        assert.deepEqual(applyStrategicMergePatch(object, {}, kind), object, `seed ${seed}`);
      }
    });
  }
});
