import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Stored } from '../meta/object.ts';
import { decode, encode } from './encoding.ts';
import { Shelf } from './shelf.ts';

const object = (name: string): Stored => {
  const managedFields = [{ manager: 'a', operation: 'Update', fieldsV1: { 'f:data': { 'f:text': {} } } }];
  const made = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, managedFields },
    data: { text: `${name} äöü` },
  };
  return decode(encode(made), 5);
};

test('an object that was not read for long is parsed anew, and is the same, frozen, with its sets shared', () => {
  const shelf = new Shelf(1000);
  const first = shelf.place('/first', object('first'), 5);
  const was = first.object;
  for (let i = 0; i < 20; i++) shelf.place(`/${i}`, object(`other-${i}`), 5);
  const is = first.object;
  assert.notEqual(is, was);
  assert.deepEqual(is, was);
  assert.ok(Object.isFrozen(is.metadata));
  const setOf = (one: Stored) => (one.metadata.managedFields as { fieldsV1: object }[])[0]?.fieldsV1;
  assert.ok(setOf(is));
  assert.equal(setOf(is), setOf(was));
});

test('an object in use stays parsed while others come and go', () => {
  const shelf = new Shelf(1000);
  const first = shelf.place('/first', object('first'), 5);
  const was = first.object;
  for (let i = 0; i < 50; i++) {
    shelf.place(`/${i}`, object(`other-${i}`), 5);
    assert.equal(first.object, was);
  }
});

test('what is forgotten is parsed anew when it is asked for', () => {
  const shelf = new Shelf();
  const item = shelf.place('/one', object('one'), 5);
  const was = item.object;
  shelf.forget();
  const is = item.object;
  assert.notEqual(is, was);
  assert.deepEqual(is, was);
  assert.equal(item.object, is);
});

test('an item is there until the last who kept it has released it', () => {
  const item = new Shelf().place('/one', object('one'), 5);
  item.keep();
  item.release();
  assert.deepEqual(JSON.parse(item.json.toString()), item.object);
  item.release();
  assert.throws(() => item.json, /was released/);
});
