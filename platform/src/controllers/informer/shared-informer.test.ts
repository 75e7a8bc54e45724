import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type KubeClient, type KubeObject, resources, type WatchEvent } from '@sampan/api/client.ts';
import { SampanError } from '@sampan/api/errors.ts';
import { FakeClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { SharedInformers } from './shared-informers.ts';

type Scene = { list?: { items: KubeObject[]; version: string }; events?: (WatchEvent<KubeObject> | Error)[] };

function pod(name: string, version: number, owner?: string): KubeObject {
  const ownerReferences = owner
    ? [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'x', uid: owner, controller: true }]
    : [];
  return {
    metadata: { name, namespace: 'default', uid: `uid-${name}`, resourceVersion: String(version), ownerReferences },
  };
}

const event = (type: 'ADDED' | 'MODIFIED' | 'DELETED', object: KubeObject): WatchEvent<KubeObject> => ({
  type,
  object,
});
const expired = new SampanError('Expired', 'too old');

/** Lists and watches answer scene after scene; the last watch stays open. */
function play(scenes: Scene[]) {
  const clock = new FakeClock();
  const asked: string[] = [];
  const lists = scenes.flatMap(({ list }) => list ?? []);
  const watches = scenes.map(({ events }) => events ?? []);
  const client = {
    async list() {
      asked.push('list');
      const list = lists.shift();
      if (!list) throw new SampanError('ServiceUnavailable', 'no more lists');
      return { items: list.items, resourceVersion: list.version };
    },
    async *watch(_: unknown, { resourceVersion }: { resourceVersion: string }, signal: AbortSignal) {
      asked.push(`watch ${resourceVersion}`);
      for (const next of watches.shift() ?? []) {
        if (next instanceof Error) throw next;
        yield next;
      }
      if (watches.length === 0) await new Promise((resolve) => signal.addEventListener('abort', resolve));
    },
  } as unknown as KubeClient;
  const informers = new SharedInformers({ client, log: silentLogger, clock });
  const informer = informers.of<KubeObject>(resources.pods);
  const told: string[] = [];
  informer.subscribe(({ type, object, previous }) =>
    told.push(`${type} ${object.metadata?.name}${previous ? ' again' : ''}`),
  );
  return { clock, informers, informer, asked, told };
}

test('one kind is listed and watched once, however many ask', async () => {
  const { informers, informer, asked, told } = play([{ list: { items: [pod('a', 1)], version: '5' } }]);
  await Promise.all([informer.start(), informers.of(resources.pods).start(), informers.start()]);
  assert.equal(informers.of(resources.pods), informer);
  assert.deepEqual(asked, ['list', 'watch 5']);
  assert.deepEqual(told, ['set a']);
  const late: string[] = [];
  informer.subscribe(({ object }) => late.push(object.metadata?.name ?? ''));
  assert.deepEqual(late, ['a']);
  await informers.close();
});

test('objects are found by owner, by namespace and as orphans, as they change', async () => {
  const { clock, informers, informer } = play([
    {
      list: { items: [pod('a', 1, 'one'), pod('b', 2)], version: '5' },
      events: [
        event('MODIFIED', pod('b', 6, 'one')),
        event('MODIFIED', pod('a', 7)),
        event('ADDED', pod('c', 8, 'two')),
      ],
    },
  ]);
  await informer.start();
  await clock.advance(10);
  const names = (objects: KubeObject[]) => objects.map(({ metadata }) => metadata?.name).sort();
  assert.deepEqual(names(informer.ownedBy('one')), ['b']);
  assert.deepEqual(names(informer.ownedBy('two')), ['c']);
  assert.deepEqual(names(informer.orphans('default')), ['a']);
  assert.deepEqual(names(informer.list('default')), ['a', 'b', 'c']);
  assert.deepEqual(informer.list('other'), []);
  assert.equal(informer.byUid('uid-c')?.metadata?.name, 'c');
  assert.equal(informer.seen, 8);
  await informers.close();
});

test('handlers see the whole list at once, never half of it', async () => {
  const { informers, informer } = play([{ list: { items: [pod('a', 3), pod('b', 9)], version: '9' } }]);
  const seen: number[] = [];
  informer.subscribe(() => seen.push(informer.list().length));
  await informer.start();
  assert.deepEqual(seen, [2, 2]);
  await informers.close();
});

test('when history is lost it waits, lists again, and tells what came, changed and went meanwhile', async () => {
  const { clock, informers, informer, asked, told } = play([
    { list: { items: [pod('a', 1), pod('b', 2), pod('c', 3)], version: '5' }, events: [expired] },
    { list: { items: [pod('a', 1), pod('b', 7), pod('d', 8)], version: '9' } },
  ]);
  await informer.start();
  assert.deepEqual(asked, ['list', 'watch 5']);
  for (let round = 0; round < 5; round++) await clock.advance(100);
  assert.deepEqual(asked, ['list', 'watch 5', 'list', 'watch 9']);
  assert.deepEqual(told, ['set a', 'set b', 'set c', 'removed c', 'set b again', 'set d']);
  await informers.close();
});

test('a history that is lost again and again is asked for less and less often', async () => {
  const scenes = Array.from({ length: 8 }, () => ({ list: { items: [], version: '1' }, events: [expired] }));
  const { clock, informers, informer, asked } = play(scenes);
  await informer.start();
  await clock.advance(1000);
  assert.ok(asked.length <= 8, `${asked.length} calls in a second`);
  await informers.close();
});
