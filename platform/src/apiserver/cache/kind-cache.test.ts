import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isReason } from '@sampan/api/errors.ts';
import type { Stored } from '../meta/object.ts';
import { type Change, KindCache } from './kind-cache.ts';
import { Shelf } from './shelf.ts';

const object = (name: string): Stored => ({ metadata: { name } });
const key = (name: string) => `/registry/core/pods/ns/${name}`;

function collector() {
  const seen: [number, boolean][] = [];
  const ended: (Error | undefined)[] = [];
  return {
    seen,
    ended,
    change: ({ revision, deleted }: Change) => void seen.push([revision, deleted]),
    end: (error?: Error) => void ended.push(error),
  };
}

test('keys come in order and by prefix, however they were written', () => {
  const cache = new KindCache();
  for (const [index, name] of ['m', 'a', 'z', 'b'].entries()) cache.put(key(name), object(name), index + 1);
  cache.put('/registry/core/pods/other/a', object('a'), 9);
  cache.remove(key('z'), 10);
  const names = [...cache.range('/registry/core/pods/ns/')].map((entry) => entry.object.metadata.name);
  assert.deepEqual(names, ['a', 'b', 'm']);
  assert.deepEqual(
    [...cache.range('/registry/core/pods/ns/', key('a'))].map((entry) => entry.key),
    [key('b'), key('m')],
  );
});

test('a subscriber from the past is told what it missed and then what comes', () => {
  const cache = new KindCache();
  for (let revision = 1; revision <= 5; revision++) cache.put(key('a'), object('a'), revision);
  const watcher = collector();
  const stop = cache.subscribe(3, watcher);
  cache.remove(key('a'), 6);
  stop();
  cache.put(key('a'), object('a'), 7);
  assert.deepEqual(watcher.seen, [
    [4, false],
    [5, false],
    [6, true],
  ]);
});

test('history is bounded, and a start before it is refused as Expired', () => {
  const cache = new KindCache(new Shelf(), { events: 8 });
  for (let revision = 1; revision <= 100; revision++) cache.put(key('a'), object('a'), revision);
  assert.throws(
    () => cache.subscribe(50, collector()),
    (error) => isReason(error, 'Expired'),
  );
  const watcher = collector();
  cache.subscribe(97, watcher);
  assert.deepEqual(
    watcher.seen.map(([revision]) => revision),
    [98, 99, 100],
  );
});

test('a revision of several changes is forgotten whole', () => {
  const cache = new KindCache(new Shelf(), { events: 8 });
  // Revisions of four changes each: no subscriber may be let in between them.
  for (let revision = 1; revision <= 10; revision++) {
    for (const name of ['a', 'b', 'c', 'd']) cache.put(key(name), object(name), revision);
  }
  for (let start = 1; start <= 10; start++) {
    const watcher = collector();
    try {
      cache.subscribe(start, watcher);
    } catch (error) {
      assert.ok(isReason(error, 'Expired'));
      continue;
    }
    assert.equal(watcher.seen.length, (10 - start) * 4);
  }
});

test('a cache that starts anew ends its subscribers', () => {
  const cache = new KindCache();
  const watcher = collector();
  cache.subscribe(0, watcher);
  cache.reset([], 5);
  assert.ok(isReason(watcher.ended[0], 'Expired'));
  assert.throws(
    () => cache.subscribe(4, collector()),
    (error) => isReason(error, 'Expired'),
  );
});
