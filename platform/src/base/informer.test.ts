import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type KubeClient, type KubeObject, resources, type WatchEvent } from '@sampan/api/client.ts';
import { SampanError } from '@sampan/api/errors.ts';
import { FakeClock } from './clock.ts';
import { Informer } from './informer.ts';
import { silentLogger } from './log.ts';

type Scene = { list?: KubeObject[]; events?: (WatchEvent<KubeObject> | Error)[] };

const object = (name: string, version: number): KubeObject => ({
  metadata: { name, resourceVersion: String(version) },
});
const added = (name: string, version: number): WatchEvent<KubeObject> => ({
  type: 'ADDED',
  object: object(name, version),
});

/** An API that answers list after list and watch after watch with what the scenes say; the last watch stays open. */
async function play(scenes: Scene[]) {
  const clock = new FakeClock();
  const told: string[] = [];
  const watchedFrom: string[] = [];
  let lists = 0;
  let watches = 0;
  const client = {
    async list() {
      const scene = scenes.filter(({ list }) => list)[lists++];
      if (!scene?.list) throw new SampanError('ServiceUnavailable', 'no more lists');
      return { items: scene.list, resourceVersion: `list-${lists}` };
    },
    async *watch(_: unknown, { resourceVersion }: { resourceVersion: string }, signal: AbortSignal) {
      watchedFrom.push(resourceVersion);
      for (const event of scenes[watches++]?.events ?? []) {
        if (event instanceof Error) throw event;
        yield event;
      }
      if (watches >= scenes.length) await new Promise((resolve) => signal.addEventListener('abort', resolve));
    },
  } as unknown as KubeClient;
  const informer = new Informer<KubeObject>({
    client,
    ref: resources.pods,
    log: silentLogger,
    clock,
    onChange: ({ type, object: changed, previous }) =>
      told.push(`${type} ${changed.metadata?.name}${previous ? ' again' : ''}`),
  });
  await informer.start();
  for (let round = 0; round < 20; round++) await clock.advance(1000);
  await informer.close();
  return { informer, told, watchedFrom };
}

test('tells the list first, then every change, and keeps a copy', async () => {
  const { informer, told } = await play([
    {
      list: [object('a', 1), object('b', 1)],
      events: [
        added('c', 2),
        { type: 'MODIFIED', object: object('a', 3) },
        { type: 'DELETED', object: object('b', 4) },
      ],
    },
  ]);
  assert.deepEqual(told, ['set a', 'set b', 'set c', 'set a again', 'removed b']);
  assert.deepEqual(
    informer.list().map(({ metadata }) => metadata?.name),
    ['a', 'c'],
  );
  assert.equal(informer.get('a')?.metadata?.resourceVersion, '3');
});

test('goes on where it was when a watch breaks off', async () => {
  const { told, watchedFrom } = await play([
    {
      list: [],
      events: [added('a', 5), { type: 'BOOKMARK', object: { metadata: { resourceVersion: '9' } } }, new Error('cut')],
    },
    { events: [added('b', 10)] },
  ]);
  assert.deepEqual(told, ['set a', 'set b']);
  assert.deepEqual(watchedFrom, ['list-1', '9']);
});

test('lists again when history is lost, and tells only what differs', async () => {
  const { told, watchedFrom } = await play([
    { list: [object('a', 1), object('b', 1), object('c', 1)], events: [new SampanError('Expired', 'too old')] },
    { list: [object('a', 1), object('b', 2), object('d', 3)], events: [] },
  ]);
  assert.deepEqual(told, ['set a', 'set b', 'set c', 'removed c', 'set b again', 'set d']);
  assert.deepEqual(watchedFrom, ['list-1', 'list-2']);
});
