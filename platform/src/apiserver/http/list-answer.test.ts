import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { Shelf } from '../cache/shelf.ts';
import type { Exchange } from './exchange.ts';
import { heldFor } from './list-answer.ts';

const exchange = (closed: boolean) => {
  const response = Object.assign(new EventEmitter(), { closed });
  return { exchange: { response } as unknown as Exchange, response };
};
const item = () => new Shelf().place('/one', { metadata: { name: 'one' } }, 5);

test('an item of a list is there until the exchange is over, though the cache has let it go', () => {
  const { exchange: over, response } = exchange(false);
  const one = item();
  heldFor(over)(one);
  one.release();
  assert.equal(one.json.toString(), '{"metadata":{"name":"one"}}');
  response.emit('close');
  assert.throws(() => one.json, /released/);
});

test('nothing is held for a client that has left', () => {
  const one = item();
  heldFor(exchange(true).exchange)(one);
  one.release();
  assert.throws(() => one.json, /released/);
});
