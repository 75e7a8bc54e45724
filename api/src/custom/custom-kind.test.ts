import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { KubeObject } from '../client.ts';
import { cronTabs, cronTabVersion } from './custom-fixtures.ts';
import { customKinds, storageKind } from './custom-kind.ts';
import type { CustomSchema } from './custom-schema.ts';
import { fillDefaults } from './fill-defaults.ts';
import { parseJsonPath } from './json-path.ts';
import { prune, unknownFields } from './prune.ts';
import { structuralProblems } from './structural.ts';
import { validateValue } from './validate-value.ts';
import { inVersionOrder } from './version-order.ts';

const object = (properties: Record<string, CustomSchema>, more: CustomSchema = {}): CustomSchema => ({
  type: 'object',
  properties,
  ...more,
});
const text: CustomSchema = { type: 'string' };

describe('an update', () => {
  const short: CustomSchema = { type: 'string', maxLength: 3 };
  const named: CustomSchema = {
    type: 'array',
    items: object({ name: text, value: short }),
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['name'],
  };
  const schema = object({
    a: short,
    b: short,
    named,
    atomic: { type: 'array', items: short },
    nested: object({ x: text, y: text }, { required: ['y'] }),
    either: { ...short, anyOf: [{ maxLength: 2 }, { pattern: '^z' }] },
  });
  const problems = (value: object, before: object) =>
    validateValue(value, schema, '', { value: before }).map(({ field }) => field);

  it('is not held to what the object already had, wherever that stands', () => {
    const before = {
      a: 'too long',
      b: 'x',
      nested: { x: '1' },
      named: [{ name: 'one', value: 'too long' }],
      atomic: ['too long'],
      either: 'yyyy',
    };
    assert.deepEqual(problems({ ...before, b: 'y' }, before), []);
    const moved = [{ name: 'two', value: 'ok' }, ...before.named];
    assert.deepEqual(problems({ ...before, named: moved }, before), []);
    assert.deepEqual(problems({ ...before, a: 'also too long' }, before), ['a']);
    assert.deepEqual(problems({ ...before, nested: { x: '2' } }, before), ['nested.y']);
    assert.deepEqual(problems({ ...before, named: [{ name: 'two', value: 'too long' }] }, before), ['named[0].value']);
    assert.deepEqual(problems({ ...before, nested: { x: '1', y: '2' } }, before), []);
    // Its items are nobody's in particular.
    assert.deepEqual(problems({ ...before, atomic: ['too long', 'ok'] }, before), ['atomic[0]']);
    assert.ok(problems({ ...before, either: 'yyyyy' }, before).includes('either'));
  });
});

describe('an update of something large and deep', () => {
  it('is compared once, not once a level', () => {
    const make = (last: number) => {
      let value: unknown = Array.from({ length: 200_000 }, (_, i) => (i < 199_999 ? 1 : last));
      for (let depth = 0; depth < 90; depth++) value = { a: value };
      return value as object;
    };
    let schema: CustomSchema = { type: 'array', items: { type: 'integer', maximum: 0 } };
    for (let depth = 0; depth < 90; depth++) schema = object({ a: schema });
    const once = performance.now();
    validateValue(make(2), schema);
    const alone = performance.now() - once;
    const began = performance.now();
    assert.ok(validateValue(make(2), schema, '', { value: make(3) }).length > 0);
    assert.ok(performance.now() - began < 20 * alone + 200);
  });
});

describe('pruning', () => {
  const schema = object({
    spec: object({ a: text, list: { type: 'array', items: object({ a: text }) } }),
    free: object({ known: object({ a: text }) }, { 'x-kubernetes-preserve-unknown-fields': true }),
    map: { type: 'object', additionalProperties: object({ a: text }) },
    pod: object({ spec: object({}) }, { 'x-kubernetes-embedded-resource': true }),
  });

  it('names what the schema does not, and takes exactly that away', () => {
    const value = {
      apiVersion: 'v1',
      metadata: { anything: 1 },
      extra: 1,
      spec: { a: 'x', 'a.b': 1, list: [{ a: 'x' }, { b: 1 }] },
      free: { any: { thing: 1 }, known: { a: 'x', b: 1 } },
      map: { one: { a: 'x', b: 1 } },
      pod: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'n', bad: 1 }, spec: { x: 1 }, other: 1 },
    };
    assert.deepEqual(unknownFields(value, schema), [
      'extra',
      'spec.a.b',
      'spec.list[1].b',
      'free.known.b',
      'map.one.b',
      'pod.metadata.bad',
      'pod.spec.x',
      'pod.other',
    ]);
    prune(value, schema);
    assert.deepEqual(unknownFields(value, schema), []);
    assert.deepEqual(value.free, { any: { thing: 1 }, known: { a: 'x' } });
    assert.deepEqual(value.spec, { a: 'x', list: [{ a: 'x' }, {}] });
    assert.deepEqual(value.metadata, { anything: 1 });
  });
});

describe('defaulting', () => {
  it('fills what is absent, within what is there, and treats a null that may not be as absent', () => {
    const schema = object({
      a: { ...text, default: 'x' },
      none: object({ b: { ...text, default: 'y' } }),
      some: object({ b: { ...text, default: 'y' } }, { default: {} }),
      nullable: { ...text, nullable: true, default: 'z' },
      list: { type: 'array', items: object({ b: { ...text, default: 'y' } }) },
    });
    const value: Record<string, unknown> = { a: null, nullable: null, list: [{}, { b: 'own' }] };
    fillDefaults(value, schema);
    assert.deepEqual(value, { a: 'x', some: { b: 'y' }, nullable: null, list: [{ b: 'y' }, { b: 'own' }] });
  });

  it('that would make a small object huge is refused', () => {
    const item = object({ big: { ...text, default: 'x'.repeat(100_000) } });
    const value = { list: Array.from({ length: 100 }, () => ({})) };
    assert.throws(() => fillDefaults(value, object({ list: { type: 'array', items: item } })), /defaults/);
  });
});

describe('validation', () => {
  const cases: [string, unknown, CustomSchema, string][] = [
    ['a wrong type', 5, text, 'f: Invalid value: "integer": f in body must be of type string: "integer"'],
    ['a fraction', 1.5, { type: 'integer' }, 'f: Invalid value: "number": f in body must be of type integer: "number"'],
    ['a null', null, text, 'f: Invalid value: "null": f in body must be of type string: "null"'],
    [
      'too little',
      1,
      { type: 'integer', minimum: 2 },
      'f: Invalid value: 1: f in body should be greater than or equal to 2',
    ],
    [
      'the bound itself',
      2,
      { type: 'number', maximum: 2, exclusiveMaximum: true },
      'f: Invalid value: 2: f in body should be less than 2',
    ],
    ['no multiple', 5, { type: 'integer', multipleOf: 2 }, 'f: Invalid value: 5: f in body should be a multiple of 2'],
    ['too short', 'a', { ...text, minLength: 2 }, 'f: Invalid value: "a": f in body should be at least 2 chars long'],
    ['too long', 'abc', { ...text, maxLength: 2 }, 'f: Too long: may not be more than 2 bytes'],
    ['no match', 'a', { ...text, pattern: '^b' }, 'f: Invalid value: "a": f in body should match \'^b\''],
    [
      'no date',
      'x',
      { ...text, format: 'date-time' },
      'f: Invalid value: "x": f in body must be of type date-time: "x"',
    ],
    ['not one of', 'a', { ...text, enum: ['b', 'c'] }, 'f: Unsupported value: "a": supported values: "b", "c"'],
    [
      'too many',
      [1, 2],
      { type: 'array', maxItems: 1, items: { type: 'integer' } },
      'f: Too many: 2: must have at most 1 items',
    ],
    ['a member missing', {}, object({ a: text }, { required: ['a'] }), 'f.a: Required value'],
    [
      'neither number nor text',
      true,
      { 'x-kubernetes-int-or-string': true },
      'f: Invalid value: "boolean": f in body must be of type integer,string: "boolean"',
    ],
    [
      'what must not be',
      'a',
      { ...text, not: { pattern: 'a' } },
      'f: Invalid value: "a": "f" must not validate the schema (not)',
    ],
    [
      'none of',
      'a',
      { ...text, oneOf: [{ pattern: 'b' }, { pattern: 'c' }] },
      'f: Invalid value: "a": "f" must validate one and only one schema (oneOf). Found none valid',
    ],
    [
      'both of',
      'bc',
      { ...text, oneOf: [{ pattern: 'b' }, { pattern: 'c' }] },
      'f: Invalid value: "bc": "f" must validate one and only one schema (oneOf). Found 2 valid alternatives',
    ],
  ];
  for (const [what, value, schema, message] of cases) {
    it(`tells of ${what} as Kubernetes does`, () => {
      assert.deepEqual(
        validateValue(value, schema, 'f').map((cause) => `${cause.field}: ${cause.message}`),
        [message],
      );
    });
  }

  it('lets pass what fits', () => {
    for (const [value, schema] of [
      [1, { type: 'number' }],
      [null, { ...text, nullable: true }],
      ['80%', { 'x-kubernetes-int-or-string': true }],
      [{ a: [1] }, { 'x-kubernetes-preserve-unknown-fields': true }],
      [0.3, { type: 'number', multipleOf: 0.1 }],
    ] as [unknown, CustomSchema][]) {
      assert.deepEqual(validateValue(value, schema, 'f'), []);
    }
  });

  it('of a huge object against a huge schema ends', () => {
    const anyOf = Array.from({ length: 3000 }, () => ({ pattern: 'b' }));
    const list = Array.from({ length: 3000 }, () => 'a');
    const [cause] = validateValue(list, { type: 'array', items: { ...text, anyOf } }, 'f');
    assert.ok(cause);
  });
});

describe('a schema', () => {
  const refused: [string, CustomSchema, string][] = [
    ['without a type at the root', { properties: {} }, 's.type'],
    ['with a field of no type', object({ a: {} }), 's.properties[a].type'],
    [
      'with named and unnamed members',
      object({ a: object({ b: text }, { additionalProperties: text }) }),
      's.properties[a].additionalProperties',
    ],
    [
      'with structure within a junctor',
      object({ a: { ...text, anyOf: [{ type: 'string' }] } }),
      's.properties[a].anyOf[0].type',
    ],
    [
      'with members in a junctor alone',
      object({ a: object({}, { anyOf: [{ properties: { b: {} } }] }) }),
      's.properties[a].properties[b]',
    ],
    [
      'with a map list without keys',
      object({ a: { type: 'array', items: text, 'x-kubernetes-list-type': 'map' } }),
      's.properties[a].x-kubernetes-list-map-keys',
    ],
    [
      'with unique items',
      object({ a: { type: 'array', items: text, uniqueItems: true } }),
      's.properties[a].uniqueItems',
    ],
    [
      'with a default that is not of it',
      object({ a: object({ b: text }, { default: { c: 1 } }) }),
      's.properties[a].default',
    ],
    [
      'with a default of metadata',
      object({ metadata: object({ labels: { type: 'object', additionalProperties: text } }) }),
      's.properties[metadata].properties[labels]',
    ],
    [
      'with CEL rules',
      object({ a: { ...text, 'x-kubernetes-validations': [{ rule: 'true' }] } }),
      's.properties[a].x-kubernetes-validations',
    ],
  ];
  for (const [what, schema, field] of refused) {
    it(`${what} is refused where that stands`, () => {
      const fields = structuralProblems(schema, 's').map((cause) => cause.field);
      assert.ok(fields.includes(field), `${field} in ${fields.join(', ')}`);
    });
  }

  it('that is structural is taken', () => {
    assert.deepEqual(structuralProblems(cronTabVersion().schema!.openAPIV3Schema!, 's'), []);
  });
});

describe('a JSON path', () => {
  const root = {
    a: {
      'b.c': [
        { type: 'x', n: 1 },
        { type: 'y', n: 2 },
      ],
    },
    'k/l': 'v',
  };
  const cases: [string, unknown[]][] = [
    ['.a', [root.a]],
    ['.a.b\\.c[0].n', [1]],
    [".a['b.c'][1].type", ['y']],
    ['.a.b\\.c[*].n', [1, 2]],
    ['.a.b\\.c[?(@.type=="y")].n', [2]],
    ['.a.b\\.c[?(@.n!=2)].type', ['x']],
    ['.a.b\\.c[-1].n', [2]],
    ['.k/l', ['v']],
    ['.none.at.all', []],
  ];
  for (const [path, expected] of cases) {
    it(`${path} leads where it says`, () => assert.deepEqual(parseJsonPath(path).find(root), expected));
  }

  it('that is more than members, indexes and filters is refused', () => {
    for (const path of ['a', '', '..a', '.a[0:2]', '.a[?(@.b)]', '.a[', '.a b'])
      assert.throws(() => parseJsonPath(path), path);
  });
});

describe('a custom kind', () => {
  it('is one for each served version, the most stable first', () => {
    const versions = ['v1alpha1', 'v2beta1', 'v1', 'v10', 'v2', 'foo'].map((name) =>
      cronTabVersion({ name, storage: name === 'v1', served: name !== 'v2' }),
    );
    const kinds = customKinds(cronTabs({ versions }));
    assert.deepEqual(
      kinds.map(({ ref }) => ref.version),
      ['v10', 'v1', 'v2beta1', 'v1alpha1', 'foo'],
    );
    assert.equal(storageKind(cronTabs({ versions })).ref.version, 'v1');
    assert.deepEqual(inVersionOrder([{ name: 'b' }, { name: 'a' }]), [{ name: 'a' }, { name: 'b' }]);
  });

  it('shows a stored object in its own version, the same frozen one each time', () => {
    const versions = [cronTabVersion({ storage: false }), cronTabVersion({ name: 'v2' })];
    const kind = customKinds(cronTabs({ versions })).find(({ ref }) => ref.version === 'v1')!;
    const stored = Object.freeze({ apiVersion: 'stable.example.com/v2', kind: 'CronTab', metadata: {}, spec: {} });
    const shown = kind.stored!.read(stored as KubeObject) as KubeObject & { spec: object };
    assert.deepEqual([shown.apiVersion, shown.spec], ['stable.example.com/v1', { replicas: 1 }]);
    assert.ok(Object.isFrozen(shown));
    assert.equal(kind.stored!.read(stored as KubeObject), shown);
    assert.equal(kind.stored!.write(shown).apiVersion, 'stable.example.com/v2');
  });

  it('prints its columns, and nothing where a value is of another type', () => {
    const [kind] = customKinds(cronTabs());
    const row = (spec: object) =>
      kind!.row(
        { metadata: { name: 'n', creationTimestamp: '2024-01-01T00:00:00Z' }, spec } as KubeObject,
        Date.UTC(2024, 0, 1, 0, 5),
      );
    assert.deepEqual(row({ cronSpec: 's', replicas: 2 }), ['n', 's', 2, '5m']);
    assert.deepEqual(row({ replicas: 'two' }), ['n', null, null, '5m']);
  });
});
