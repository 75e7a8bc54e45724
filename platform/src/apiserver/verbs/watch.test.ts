import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type KubeObject, type ListOptions, resources, type WatchEvent } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import { startTestApi, type TestApi } from '../../../test/integration/api-test-server.ts';
import { createMemoryStore } from '../../store/memory/memory-store.ts';
import type { Store } from '../../store/store.ts';

const { configmaps } = resources;
const merge = 'application/merge-patch+json' as const;

let api: TestApi;
before(async () => {
  api = await startTestApi();
});
after(() => api[Symbol.asyncDispose]());

type Seen = [string, string | undefined];

/** Runs `act` under a watch and returns type and name of the first `count` events, bookmarks aside. */
async function seenWhile(options: ListOptions, count: number, act: () => Promise<unknown>): Promise<Seen[]> {
  const { resourceVersion } = await api.client.list(configmaps, options);
  const stop = new AbortController();
  const seen: Seen[] = [];
  const reading = (async () => {
    for await (const event of api.client.watch<KubeObject>(configmaps, { ...options, resourceVersion }, stop.signal)) {
      if (event.type === 'BOOKMARK') continue;
      seen.push([event.type, event.object.metadata?.name]);
      if (seen.length === count) return;
    }
  })();
  await act();
  await reading;
  stop.abort();
  return seen;
}

const make = (name: string, labels?: Record<string, string>) =>
  api.client.create(configmaps, { metadata: { name, namespace: 'default', ...(labels ? { labels } : {}) } });
const drop = (name: string) => api.client.delete(configmaps, name, { namespace: 'default' });
const label = (name: string, labels: Record<string, string | null>) =>
  api.client.patch(configmaps, name, { metadata: { labels } }, { namespace: 'default', type: merge });

test('tells of every change once and in order', async () => {
  const seen = await seenWhile({ namespace: 'default' }, 4, async () => {
    await make('w1');
    await label('w1', { a: 'b' });
    await make('w2');
    await drop('w1');
  });
  assert.deepEqual(seen, [
    ['ADDED', 'w1'],
    ['MODIFIED', 'w1'],
    ['ADDED', 'w2'],
    ['DELETED', 'w1'],
  ]);
});

test('starts after the version it is given, also when that is past', async () => {
  const { resourceVersion } = await api.client.list(configmaps);
  await make('w3');
  await make('w4');
  const stop = new AbortController();
  const names: unknown[] = [];
  for await (const event of api.client.watch<KubeObject>(configmaps, { resourceVersion }, stop.signal)) {
    names.push((event.object as KubeObject).metadata?.name);
    if (names.length === 2) break;
  }
  assert.deepEqual(names, ['w3', 'w4']);
});

test('tells of objects that begin and cease to match as added and deleted', async () => {
  const seen = await seenWhile({ labelSelector: 'on=yes' }, 4, async () => {
    await make('sel', { on: 'no' });
    await label('sel', { on: 'yes' });
    await label('sel', { other: 'x' });
    await label('sel', { on: 'no' });
    await label('sel', { on: 'yes' });
  });
  assert.deepEqual(seen, [
    ['ADDED', 'sel'],
    ['MODIFIED', 'sel'],
    ['DELETED', 'sel'],
    ['ADDED', 'sel'],
  ]);
});

test('tells with what state a deleted object left, under the version of its deletion', async () => {
  await make('last', { mark: 'm' });
  const { resourceVersion } = await api.client.list(configmaps);
  await drop('last');
  const stop = new AbortController();
  for await (const event of api.client.watch<KubeObject>(configmaps, { resourceVersion }, stop.signal)) {
    const { metadata } = event.object as KubeObject;
    assert.equal(event.type, 'DELETED');
    assert.deepEqual(metadata?.labels, { mark: 'm' });
    assert.ok(Number(metadata?.resourceVersion) > Number(resourceVersion));
    break;
  }
});

test('ends quietly when its signal aborts', async () => {
  const { resourceVersion } = await api.client.list(configmaps);
  const stop = new AbortController();
  const reading = (async () => {
    for await (const _ of api.client.watch(configmaps, { resourceVersion }, stop.signal))
      assert.fail('nothing happens');
  })();
  setImmediate(() => stop.abort());
  await reading;
});

test('from a version that is forgotten is refused as Expired', async () => {
  const { resourceVersion } = await api.client.list(configmaps);
  for (let i = 0; i < 2100; i++) await label('w2', { n: String(i) });
  const events = api.client.watch(configmaps, { resourceVersion }, new AbortController().signal);
  await assert.rejects(
    async () => {
      for await (const _ of events) break;
    },
    (error) => isReason(error, 'Expired') && /^too old resource version: \d+ \(\d+\)$/.test((error as Error).message),
  );
});

test('a server that loses its store watch tells its watchers to list again, and is right again itself', async () => {
  const memory = createMemoryStore();
  let lose = () => {};
  const store: Store = {
    ...bindAll(memory),
    watch(prefix, after, signal) {
      const stop = new AbortController();
      signal.addEventListener('abort', () => stop.abort());
      lose = () => stop.abort();
      return memory.watch(prefix, after, stop.signal);
    },
  };
  await using other = await startTestApi({ store });
  const { resourceVersion } = await other.client.list(configmaps);
  const events: AsyncIterable<WatchEvent<KubeObject>> = other.client.watch(
    configmaps,
    { resourceVersion },
    new AbortController().signal,
  );
  const watching = assert.rejects(
    async () => {
      for await (const _ of events);
    },
    (error) => isReason(error, 'Expired'),
  );
  await new Promise((resolve) => setImmediate(resolve));
  lose();
  await other.client.create(configmaps, { metadata: { name: 'after-loss', namespace: 'default' } });
  await watching;
  const { items } = await other.client.list<KubeObject>(configmaps, { namespace: 'default' });
  assert.deepEqual(
    items.map(({ metadata }) => metadata?.name),
    ['after-loss'],
  );
});

function bindAll(store: Store): Store {
  return {
    get: (key) => store.get(key),
    list: (prefix, options) => store.list(prefix, options),
    commit: (writes) => store.commit(writes),
    watch: (prefix, after, signal) => store.watch(prefix, after, signal),
    revision: () => store.revision(),
    compact: (revision) => store.compact(revision),
    close: () => store.close(),
  };
}
