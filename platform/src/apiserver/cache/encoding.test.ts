import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@sampan/api/client.ts';
import { decode, encode } from './encoding.ts';

const owned = (name: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: {
    name,
    resourceVersion: '7',
    managedFields: [{ manager: 'a', operation: 'Apply', fieldsV1: { 'f:data': { '.': {}, 'f:x': {} } } }],
  },
});

const setIn = (object: KubeObject) =>
  (object.metadata?.managedFields?.[0] as { fieldsV1: object } | undefined)?.fieldsV1;

test('an object comes out of the store as it went in, under its revision', () => {
  const object = decode(encode(owned('one')), 12);
  assert.deepEqual(object, { ...owned('one'), metadata: { ...owned('one').metadata, resourceVersion: '12' } });
});

test('objects whose managers own the same fields share one frozen set', () => {
  const [one, two] = [decode(encode(owned('one')), 1), decode(encode(owned('two')), 2)];
  assert.equal(setIn(one), setIn(two));
  assert.ok(Object.isFrozen(setIn(one)));
  assert.deepEqual(decode(encode(one), 1), one);
});

test('values of servers that kept sets as objects are read too', () => {
  const value = Buffer.from(JSON.stringify(owned('old')));
  assert.deepEqual(setIn(decode(value, 1)), setIn(owned('old')));
});
