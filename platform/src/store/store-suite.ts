/** The conformance suite of the store seam: every driver runs it from its own test file. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isReason } from '@sampan/api/errors.ts';
import type { Store, StoreEvent } from './store.ts';

export interface StoreUnderTest {
  store: Store;
  dispose(): Promise<void>;
}

/** `open` makes an empty store whose watchers may buffer `maxEvents` events. */
export function storeSuite(driver: string, open: (limits: { maxEvents: number }) => Promise<StoreUnderTest>): void {
  const withStore = (body: (store: Store) => Promise<void>) => async () => {
    const { store, dispose } = await open({ maxEvents: 1000 });
    try {
      await body(store);
    } finally {
      await dispose();
    }
  };

  describe(`${driver} store: keys and transactions`, () => {
    it(
      'returns what was written, with the revisions of its creation and its last write',
      withStore(async (store) => {
        assert.equal(await store.get('/a'), undefined);
        const created = await store.commit([put('/a', 'one')]);
        const updated = await store.commit([put('/a', 'two')]);
        assert.equal(updated, created + 1);
        const entry = await store.get('/a');
        assert.equal(text(entry?.value), 'two');
        assert.equal(entry?.createRevision, created);
        assert.equal(entry?.modRevision, updated);
        assert.equal(await store.revision(), updated);
      }),
    );

    it(
      'keeps bytes as they are, empty values and megabytes included',
      withStore(async (store) => {
        const big = new Uint8Array(1_500_000).map((_, i) => i * 7);
        await store.commit([
          { key: '/empty', value: new Uint8Array() },
          { key: '/big', value: big },
        ]);
        assert.equal((await store.get('/empty'))?.value.length, 0);
        assert.deepEqual(Buffer.from((await store.get('/big'))!.value), Buffer.from(big));
      }),
    );

    it(
      'does not see what its caller does to a value after handing it over',
      withStore(async (store) => {
        const value = new TextEncoder().encode('before');
        const committed = store.commit([{ key: '/a', value }]);
        await committed;
        value.fill(0);
        assert.equal(text((await store.get('/a'))?.value), 'before');
      }),
    );

    it(
      'commits all writes of a transaction under one revision, or none when one expectation fails',
      withStore(async (store) => {
        const revision = await store.commit([put('/a', '1', 0), put('/b', '1', 0)]);
        assert.equal((await store.get('/b'))?.modRevision, revision);
        await assert.rejects(store.commit([put('/c', '1'), put('/a', '2', revision), put('/b', '2', 0)]), (error) => {
          assert.ok(isReason(error, 'Conflict'));
          assert.match(error.message, /"\/b"/);
          return true;
        });
        assert.equal(await store.get('/c'), undefined);
        assert.equal(text((await store.get('/a'))?.value), '1');
        assert.equal(await store.revision(), revision);
      }),
    );

    it(
      'lets exactly one of many writers that expect the same revision win',
      withStore(async (store) => {
        const base = await store.commit([put('/a', '0')]);
        const results = await Promise.allSettled(
          Array.from({ length: 20 }, (_, i) => store.commit([put('/a', `${i}`, base)])),
        );
        assert.equal(results.filter((result) => result.status === 'fulfilled').length, 1);
        const lost = results.filter((result) => result.status === 'rejected');
        assert.ok(lost.every(({ reason }) => isReason(reason, 'Conflict')));
        const winner = results.findIndex((result) => result.status === 'fulfilled');
        assert.equal(text((await store.get('/a'))?.value), `${winner}`);
      }),
    );

    it(
      'deletes only what is still as expected, and writes one key while it deletes another',
      withStore(async (store) => {
        const base = await store.commit([put('/a', '1'), put('/b', '1')]);
        const later = await store.commit([put('/a', '2')]);
        await assert.rejects(store.commit([{ key: '/a', value: undefined, expect: base }]), (error) =>
          isReason(error, 'Conflict'),
        );
        const moved = await store.commit([{ key: '/a', value: undefined, expect: later }, put('/b', '2', base)]);
        assert.deepEqual(keysOf(await store.list('/')), ['/b']);
        assert.equal((await store.get('/b'))?.modRevision, moved);
        await assert.rejects(store.commit([put('/a', '3', later)]), (error) => isReason(error, 'Conflict'));
        assert.equal(await store.commit([put('/a', '3', 0)]), moved + 1);
      }),
    );

    it(
      'deletes, and starts a new life of the key when it is written again',
      withStore(async (store) => {
        await store.commit([put('/a', '1')]);
        const deleted = await store.commit([{ key: '/a', value: undefined }]);
        assert.equal(await store.get('/a'), undefined);
        const again = await store.commit([put('/a', '2', 0)]);
        assert.equal(again, deleted + 1);
        assert.equal((await store.get('/a'))?.createRevision, again);
      }),
    );

    it(
      'gives every concurrent commit its own revision',
      withStore(async (store) => {
        const revisions = await Promise.all(
          Array.from({ length: 300 }, (_, i) => store.commit([put(`/k${i}`, `${i}`)])),
        );
        assert.equal(new Set(revisions).size, 300);
        assert.equal(Math.max(...revisions), await store.revision());
      }),
    );

    it(
      'refuses an illegal key, an empty transaction and a key written twice in one',
      withStore(async (store) => {
        const bad = (writes: Parameters<Store['commit']>[0]) =>
          assert.rejects(store.commit(writes), (error) => isReason(error, 'BadRequest'));
        await bad([put('', 'x')]);
        await bad([put('/ä', 'x')]);
        await bad([]);
        await bad([put('/a', '1'), put('/a', '2')]);
      }),
    );
  });

  describe(`${driver} store: lists`, () => {
    it(
      'lists the keys under a prefix in order, and no neighbour',
      withStore(async (store) => {
        for (const key of ['/p/b', '/p/a', '/p/a/x', '/p0', '/o/z', '/p']) await store.commit([put(key, key)]);
        assert.deepEqual(keysOf(await store.list('/p/')), ['/p/a', '/p/a/x', '/p/b']);
        assert.equal((await store.list('')).entries.length, 6);
      }),
    );

    it(
      'pages through a snapshot that later writes do not touch',
      withStore(async (store) => {
        for (let i = 0; i < 7; i++) await store.commit([put(`/n/${i}`, 'old')]);
        const first = await store.list('/n/', { limit: 3 });
        assert.deepEqual([keysOf(first), first.more, first.remaining], [['/n/0', '/n/1', '/n/2'], true, 4]);
        await store.commit([put('/n/4', 'new'), { key: '/n/5', value: undefined }, put('/n/35', 'new')]);
        const rest = await store.list('/n/', { limit: 9, after: '/n/2', revision: first.revision });
        assert.deepEqual(keysOf(rest), ['/n/3', '/n/4', '/n/5', '/n/6']);
        assert.ok(rest.entries.every((entry) => text(entry.value) === 'old'));
        assert.deepEqual([rest.more, rest.remaining, rest.revision], [false, 0, first.revision]);
        assert.deepEqual(keysOf(await store.list('/n/', { after: '/n/3' })), ['/n/35', '/n/4', '/n/6']);
      }),
    );

    it(
      'counts what follows a page of an old snapshot',
      withStore(async (store) => {
        for (let i = 0; i < 5; i++) await store.commit([put(`/n/${i}`, 'old')]);
        const then = await store.revision();
        await store.commit([put('/n/1', 'new'), { key: '/n/4', value: undefined }]);
        const page = await store.list('/n/', { limit: 2, revision: then });
        assert.deepEqual([page.more, page.remaining], [true, 3]);
      }),
    );

    it(
      'answers Expired for a snapshot before the compacted revision, and Timeout for one yet to come',
      withStore(async (store) => {
        await store.commit([put('/a', '1')]);
        const two = await store.commit([put('/a', '2')]);
        await store.compact(two);
        await assert.rejects(store.list('/', { revision: two - 1 }), (error) => isReason(error, 'Expired'));
        assert.equal(text((await store.list('/', { revision: two })).entries[0]?.value), '2');
        await assert.rejects(store.list('/', { revision: two + 1 }), (error) => isReason(error, 'Timeout'));
      }),
    );

    it(
      'loses nothing that is still valid to compaction, and brings nothing deleted back',
      withStore(async (store) => {
        for (let i = 0; i < 30; i++) await store.commit([put(`/k/${i % 3}`, `${i}`), put(`/gone/${i}`, 'x')]);
        for (let i = 0; i < 30; i++) await store.commit([{ key: `/gone/${i}`, value: undefined }]);
        const then = await store.revision();
        const late = await store.commit([put('/k/0', 'late')]);
        await store.compact(then);
        await store.compact(then);
        assert.equal((await store.list('/gone/', { revision: then })).entries.length, 0);
        const old = await store.list('/k/', { revision: then });
        assert.deepEqual(
          old.entries.map((entry) => text(entry.value)),
          ['27', '28', '29'],
        );
        assert.equal(text((await store.get('/k/0'))?.value), 'late');
        const events = await take(store, { prefix: '/', after: then, count: 1 });
        assert.deepEqual([events[0]?.revision, text(events[0]?.previous)], [late, '27']);
      }),
    );
  });

  describe(`${driver} store: watches`, () => {
    it(
      'replays history and goes on live, without gap or repeat',
      withStore(async (store) => {
        const start = await store.revision();
        const written: [number, string][] = [];
        const write = async (value: string) =>
          void written.push([await store.commit([put('/w/a', value), put(`/other/${value}`, '')]), value]);
        const early = Array.from({ length: 700 }, (_, i) => write(`${i}`));
        await early[0];
        const reading = take(store, { prefix: '/w/', after: start, count: 900 });
        await Promise.all(early);
        for (let i = 700; i < 900; i++) await write(`${i}`);
        const events = await reading;
        assert.deepEqual(
          events.map((event) => [event.revision, text(event.value)]),
          written.sort(([a], [b]) => a - b),
        );
        assert.deepEqual(
          events.map((event) => event.revision),
          Array.from({ length: 900 }, (_, i) => start + 1 + i),
        );
      }),
    );

    it(
      'tells creation from change, and carries the value before, live and from history alike',
      withStore(async (store) => {
        const start = await store.revision();
        const live = take(store, { prefix: '/a', after: start, count: 4 });
        await new Promise((resolve) => setImmediate(resolve));
        await store.commit([put('/a', '1')]);
        await store.commit([put('/a', '2')]);
        await store.commit([{ key: '/a', value: undefined }]);
        await store.commit([put('/a', '3')]);
        const told = (events: StoreEvent[]) =>
          events.map((event) => [event.type, text(event.value), event.previous && text(event.previous)]);
        const wanted = [
          ['put', '1', undefined],
          ['put', '2', '1'],
          ['delete', '2', undefined],
          ['put', '3', undefined],
        ];
        assert.deepEqual(told(await live), wanted);
        assert.deepEqual(told(await take(store, { prefix: '/a', after: start, count: 4 })), wanted);
      }),
    );

    it(
      'starts at the revision it is asked for, and tells all of one transaction in one batch',
      withStore(async (store) => {
        for (let i = 0; i < 20; i++) await store.commit([put('/v/a', `${i}`)]);
        const middle = await store.commit([put('/v/a', 'middle')]);
        const both = await store.commit([put('/v/a', 'after'), put('/v/b', 'after'), put('/elsewhere', '')]);
        const abort = new AbortController();
        for await (const batch of store.watch('/v/', middle, abort.signal)) {
          assert.deepEqual(batch.map((event) => [event.key, event.revision]).sort(), [
            ['/v/a', both],
            ['/v/b', both],
          ]);
          abort.abort();
        }
      }),
    );

    it(
      'delivers a transaction larger than a page of history whole',
      withStore(async (store) => {
        await store.commit(Array.from({ length: 800 }, (_, i) => put(`/t/${i}`, 'x')));
        await store.commit([put('/t/last', 'x')]);
        const events = await take(store, { prefix: '/t/', after: 0, count: 801 });
        assert.equal(new Set(events.map((event) => event.key)).size, 801);
        assert.equal(events.at(-1)?.key, '/t/last');
      }),
    );

    it(
      'ends without an error when its signal aborts and when the store closes',
      withStore(async (store) => {
        const abort = new AbortController();
        const aborted = drain(store.watch('/', 0, abort.signal));
        const closed = drain(store.watch('/', 0, new AbortController().signal));
        await new Promise((resolve) => setImmediate(resolve));
        abort.abort();
        assert.equal(await aborted, 0);
        await store.close();
        assert.equal(await closed, 0);
      }),
    );

    it(
      'answers Expired for a start that is compacted away',
      withStore(async (store) => {
        await store.commit([put('/a', '1')]);
        const two = await store.commit([put('/a', '2')]);
        await store.compact(two);
        await assert.rejects(drain(store.watch('/', two - 1, new AbortController().signal)), (error) =>
          isReason(error, 'Expired'),
        );
      }),
    );

    it('lets a reader of long history take its time', async () => {
      const { store, dispose } = await open({ maxEvents: 10 });
      try {
        for (let i = 0; i < 50; i++) await store.commit([put('/a', `${i}`)]);
        const abort = new AbortController();
        let count = 0;
        for await (const batch of store.watch('/', 0, abort.signal)) {
          count += batch.length;
          await new Promise((resolve) => setTimeout(resolve, 20));
          if (count === 50) abort.abort();
        }
        assert.equal(count, 50);
      } finally {
        await dispose();
      }
    });

    it('cuts a slow reader off with Expired instead of buffering without bound', async () => {
      const { store, dispose } = await open({ maxEvents: 10 });
      try {
        const watch = store.watch('/', 0, new AbortController().signal)[Symbol.asyncIterator]();
        const first = watch.next();
        await store.commit([put('/a', '1')]);
        assert.equal((await first).value?.length, 1);
        // More than it may hold: the last ones may still be on their way here.
        for (let i = 0; i < 40; i++) await store.commit([put('/a', `${i}`)]);
        await assert.rejects(watch.next(), (error) => isReason(error, 'Expired'));
      } finally {
        await dispose();
      }
    });
  });

  it(`${driver} store: refuses work after close`, async () => {
    const { store, dispose } = await open({ maxEvents: 10 });
    await store.close();
    await assert.rejects(store.commit([put('/a', '1')]), (error) => isReason(error, 'FailedPrecondition'));
    await assert.rejects(store.get('/a'), (error) => isReason(error, 'FailedPrecondition'));
    await dispose();
  });
}

function put(key: string, value: string, expect?: number) {
  return { key, value: new TextEncoder().encode(value), ...(expect !== undefined && { expect }) };
}

function text(value: Uint8Array | undefined): string {
  return new TextDecoder().decode(value);
}

function keysOf(page: { entries: { key: string }[] }): string[] {
  return page.entries.map((entry) => entry.key);
}

async function take(store: Store, { prefix, after, count }: { prefix: string; after: number; count: number }) {
  const abort = new AbortController();
  const events: StoreEvent[] = [];
  for await (const batch of store.watch(prefix, after, abort.signal)) {
    events.push(...batch);
    if (events.length >= count) abort.abort();
  }
  return events;
}

async function drain(watch: AsyncIterable<StoreEvent[]>): Promise<number> {
  let count = 0;
  for await (const batch of watch) count += batch.length;
  return count;
}
