import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { equalJson, type JsonObject } from '../json.ts';
import type { ManagedEntry, Operation } from './managers.ts';
import { type Applied, applyConfiguration, ownersAfterUpdate } from './ownership.ts';
import { randomFrom, seedOf } from './random.test-support.ts';
import { type Structure, structureOfSchema, structureOfType } from './structure.ts';

const time = '2024-01-01T00:00:00Z';
const deployment = structureOfType('apps/v1.Deployment');

interface State {
  object: JsonObject;
  owners: ManagedEntry[];
}

const nothing: State = { object: {}, owners: [] };

function write({ object, owners }: State, manager: string, operation: Operation, structure: Structure) {
  return { structure, before: object, owners, by: { manager, operation, apiVersion: 'v1' }, time, reaches: () => true };
}

function apply(
  state: State,
  manager: string,
  wanted: object,
  options: { force?: boolean; structure?: Structure } = {},
) {
  const { force = false, structure = deployment } = options;
  return applyConfiguration(write(state, manager, 'Apply', structure), wanted, force);
}

/** Fails on conflicts. */
function applied(state: State, manager: string, wanted: object, options: Parameters<typeof apply>[3] = {}) {
  const answer = apply(state, manager, wanted, options);
  assert.ok(!answer.conflicts, JSON.stringify(answer.conflicts));
  return answer;
}

function updated(state: State, manager: string, object: JsonObject, structure = deployment): State {
  return { object, owners: ownersAfterUpdate(write(state, manager, 'Update', structure), object) };
}

const conflictPaths = (answer: Applied) => answer.conflicts?.map(({ path }) => path.join('/'));
const owned = ({ owners }: State, manager: string) => owners.find((entry) => entry.manager === manager)?.fieldsV1;
const template = (containers: object[]) => ({ spec: { template: { spec: { containers } } } });
const containersIn = ({ object }: State) =>
  (object as { spec?: { template?: { spec?: { containers?: JsonObject[] } } } }).spec?.template?.spec?.containers;

describe('apply', () => {
  test('merges lists by their keys; applied elements stand in applied order, the others where they were', () => {
    const before = { object: template(['a', 'b', 'c'].map((name) => ({ name, image: '1' }))), owners: [] };
    const { object } = applied(before, 'm', template([{ name: 'c', tty: true }, { name: 'd' }, { name: 'a' }]));
    assert.deepEqual(containersIn({ object, owners: [] }), [
      { name: 'b', image: '1' },
      { name: 'c', image: '1', tty: true },
      { name: 'd' },
      { name: 'a', image: '1' },
    ]);
  });

  test('takes a whole element away with what others only filled in', () => {
    const first = applied(nothing, 'm', template([{ name: 'a' }, { name: 'b' }]));
    const filled = template([
      { name: 'a', image: 'x' },
      { name: 'b', image: 'x' },
    ]);
    const second = applied(updated(first, 'other', filled), 'm', template([{ name: 'a' }]));
    assert.deepEqual(containersIn(second), [{ name: 'a', image: 'x' }]);
    assert.deepEqual(owned(second, 'other'), {
      'f:spec': {
        'f:template': { 'f:spec': { 'f:containers': { 'k:{"name":"a"}': { 'f:image': {} } } } },
      },
    });
  });

  test('of null where there is nothing is no change', () => {
    const wish = { spec: { template: { metadata: { creationTimestamp: null, name: 'x' } } } };
    const live = {
      object: { spec: { template: { metadata: { name: 'x' } } } },
      owners: applied(nothing, 'a', wish).owners,
    };
    assert.equal(apply(live, 'b', wish).conflicts, undefined);
  });

  test('takes atomic values as one', () => {
    const first = applied(nothing, 'a', { spec: { selector: { matchLabels: { x: '1' } } } });
    assert.deepEqual(owned(first, 'a'), { 'f:spec': { 'f:selector': {} } });
    const other = apply(first, 'b', { spec: { selector: { matchLabels: { y: '1' } } } });
    assert.deepEqual(conflictPaths(other), ['f:spec/f:selector']);
  });

  test('finds ports by default keys', () => {
    const first = applied(nothing, 'a', template([{ name: 'c', ports: [{ containerPort: 80 }] }]));
    const named = template([{ name: 'c', ports: [{ containerPort: 80, protocol: 'TCP', name: 'http' }] }]);
    const second = applied(first, 'b', named);
    assert.deepEqual(containersIn(second)?.[0]?.ports, [{ containerPort: 80, protocol: 'TCP', name: 'http' }]);
  });

  test('leaves an emptied map out, unless it is asked to be there', () => {
    const first = applied(nothing, 'a', { metadata: { labels: { x: '1' } } });
    assert.deepEqual(applied(first, 'a', { metadata: {} }).object, { metadata: {} });
    assert.deepEqual(applied(first, 'a', { metadata: { labels: {} } }).object, { metadata: { labels: {} } });
  });

  test('of a map that another wants to be there is no conflict, and takes nothing from it', () => {
    const empty = applied(nothing, 'a', { metadata: { labels: {} } });
    const live = { object: {}, owners: empty.owners };
    const filled = applied(live, 'b', { metadata: { labels: { x: '1' } } });
    assert.deepEqual(owned(filled, 'a'), { 'f:metadata': { 'f:labels': {} } });
  });

  test('counts the same name as another where it updated before', () => {
    const before = updated(nothing, 'm', { spec: { replicas: 1 } });
    assert.deepEqual(conflictPaths(apply(before, 'm', { spec: { replicas: 2 } })), ['f:spec/f:replicas']);
    const { owners } = applied(before, 'm', { spec: { replicas: 2 } }, { force: true });
    assert.deepEqual(
      owners.map(({ operation }) => operation),
      ['Apply'],
    );
  });
});

describe('update', () => {
  test('owns what changed, and takes that from everybody else', () => {
    const first = applied(nothing, 'a', { spec: { replicas: 1, paused: true } });
    const second = updated(first, 'u', { spec: { replicas: 2 } });
    assert.deepEqual(owned(second, 'u'), { 'f:spec': { 'f:replicas': {} } });
    assert.equal(owned(second, 'a'), undefined);
  });

  test('of nothing, and of what nobody owns, leaves every entry the same', () => {
    const before = applied(nothing, 'a', { spec: { replicas: 1 }, metadata: { name: 'x' } });
    assert.equal(updated(before, 'u', structuredClone(before.object)).owners, before.owners);
    const renamed = updated(before, 'u', { ...before.object, metadata: { name: 'x', generation: 2 } });
    assert.deepEqual(renamed.owners, before.owners);
  });

  test('adds to what the manager owned before', () => {
    const first = updated(nothing, 'u', { spec: { replicas: 1 } });
    const second = updated(first, 'u', { spec: { replicas: 1, paused: true } });
    assert.deepEqual(owned(second, 'u'), { 'f:spec': { 'f:paused': {}, 'f:replicas': {} } });
  });
});

describe('without Kubernetes’ own types', () => {
  test('lists are whole and objects shared when there is no schema', () => {
    const free: Structure = { form: 'free' };
    const first = applied(nothing, 'a', { spec: { list: [{ name: 'x' }], map: { a: 1 } } }, { structure: free });
    const second = applied(first, 'b', { spec: { map: { b: 1 } } }, { structure: free });
    assert.deepEqual(second.object, { spec: { list: [{ name: 'x' }], map: { a: 1, b: 1 } } });
    const refused = apply(second, 'b', { spec: { list: [] } }, { structure: free });
    assert.deepEqual(conflictPaths(refused), ['f:spec/f:list']);
  });

  test('an OpenAPI schema says what is apart', () => {
    const text = { type: 'string' };
    const structure = structureOfSchema({
      type: 'object',
      properties: {
        keyed: {
          type: 'array',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name', 'zone'],
          items: { type: 'object', properties: { name: text, zone: { ...text, default: 'here' }, value: text } },
        },
        values: { type: 'array', 'x-kubernetes-list-type': 'set', items: text },
        whole: { type: 'object', 'x-kubernetes-map-type': 'atomic', additionalProperties: text },
        list: { type: 'array', items: text },
        open: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
      },
    });
    const wanted = {
      keyed: [{ name: 'x', value: '1' }],
      values: ['b'],
      whole: { a: '1' },
      list: ['x'],
      open: { any: { thing: [1] } },
    };
    assert.deepEqual(owned(applied(nothing, 'a', wanted, { structure }), 'a'), {
      'f:keyed': { 'k:{"name":"x","zone":"here"}': { '.': {}, 'f:name': {}, 'f:value': {} } },
      'f:list': {},
      'f:open': { 'f:any': { '.': {}, 'f:thing': {} } },
      'f:values': { 'v:"b"': {} },
      'f:whole': {},
    });
  });
});

/** Few fields of every form, so that managers often want the same. */
function randomWish(random: () => number): JsonObject {
  const maybe = (value: () => unknown) => (random() < 0.5 ? value() : undefined);
  const pick = (...of: unknown[]) => of[Math.floor(random() * of.length)];
  const labels = () =>
    Object.fromEntries(['x', 'y', 'z'].flatMap((name) => (random() < 0.5 ? [[name, pick('1', '2')]] : [])));
  const containers = ['a', 'b', 'c'].flatMap((name) =>
    random() < 0.5
      ? [{ name, image: maybe(() => pick('1', '2')), env: maybe(() => [{ name: 'E', value: pick('1', '2') }]) }]
      : [],
  );
  const wish = {
    metadata: { labels: maybe(labels), finalizers: maybe(() => [pick('f/1', 'f/2')]) },
    spec: {
      replicas: maybe(() => pick(1, 2)),
      selector: maybe(() => ({ matchLabels: { a: pick('1', '2') } })),
      template: maybe(() => ({ spec: { containers } })),
    },
  };
  return JSON.parse(JSON.stringify(wish));
}

/** Leaves of a wish by their paths, list elements by name. */
function* leavesOf(value: unknown, path = ''): Iterable<[string, unknown]> {
  if (Array.isArray(value)) {
    for (const item of value) {
      const { name } = item as { name?: string };
      if (name) yield* leavesOf(item, `${path}[${name}]`);
      else yield [`${path}[=${item}]`, item];
    }
  } else if (typeof value === 'object' && value !== null && !path.endsWith('.selector')) {
    for (const [name, member] of Object.entries(value)) yield* leavesOf(member, `${path}.${name}`);
  } else yield [path, JSON.stringify(value)];
}

describe('whatever managers apply', () => {
  const seed = seedOf('APPLY_SEED');
  const rounds = 1500;

  test(`the same again changes nothing (seed ${seed})`, () => {
    const random = randomFrom(seed);
    for (let round = 0; round < rounds; round++) {
      const base = updated(nothing, 'u', randomWish(random));
      const wish = randomWish(random);
      const once = applied(base, 'a', wish, { force: true });
      const twice = apply(once, 'a', wish);
      assert.ok(!twice.conflicts && twice.isSame, `seed ${seed}: ${JSON.stringify(wish)}`);
      assert.deepEqual(twice.object, once.object);
      assert.deepEqual(twice.owners, once.owners);
    }
  });

  test(`the order of two that do not fight makes no difference (seed ${seed})`, () => {
    const random = randomFrom(seed);
    let peaceful = 0;
    for (let round = 0; round < rounds; round++) {
      const base = updated(nothing, 'u', randomWish(random));
      const [a, b] = [randomWish(random), randomWish(random)];
      const ab = applyAll(base, ['a', a], ['b', b]);
      const ba = applyAll(base, ['b', b], ['a', a]);
      if (!ab || !ba) continue;
      peaceful++;
      const why = `seed ${seed}: ${JSON.stringify([base.object, a, b])}`;
      assert.deepEqual(new Map(leavesOf(ab.object)), new Map(leavesOf(ba.object)), why);
      assert.deepEqual(ab.owners, ba.owners, why);
    }
    assert.ok(peaceful > rounds / 50, `${peaceful} of ${rounds} did not fight`);
  });

  test(`what is no longer applied goes exactly when nobody else owns it (seed ${seed})`, () => {
    const random = randomFrom(seed);
    let kept = 0;
    let gone = 0;
    for (let round = 0; round < rounds; round++) {
      const [a, b, next] = [randomWish(random), randomWish(random), randomWish(random)];
      const both = applyAll(nothing, ['b', b], ['a', a]);
      const after = both && apply(both, 'a', next);
      if (!after || after.conflicts) continue;
      const [wanted, others] = [new Map(leavesOf(next)), new Map(leavesOf(b))];
      const now = new Map(leavesOf(after.object));
      for (const [path] of leavesOf(a)) {
        if (wanted.has(path)) continue;
        assert.equal(now.has(path), others.has(path), `seed ${seed}: ${path} of ${JSON.stringify([a, b, next])}`);
        if (others.has(path)) kept++;
        else gone++;
      }
      for (const [path, value] of [...wanted, ...others])
        assert.ok(equalJson(now.get(path), wanted.get(path) ?? value));
    }
    assert.ok(kept > 50 && gone > 50, `${kept} kept, ${gone} gone`);
  });
});

/** undefined when they fight. */
function applyAll(state: State, ...wishes: [manager: string, wish: object][]): State | undefined {
  let now = state;
  for (const [manager, wish] of wishes) {
    const answer = apply(now, manager, wish);
    if (answer.conflicts) return undefined;
    now = answer;
  }
  return now;
}
