/** etcd killed in the middle of writes: what was acknowledged is there, nothing is torn, and a watch goes on without a gap. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { isReason } from '@sampan/api/errors.ts';
import { silentLogger } from '../../src/base/log.ts';
import { openEtcdStore } from '../../src/store/etcd/etcd-store.ts';
import type { Store, StoreEvent } from '../../src/store/store.ts';
import { debianEtcd, newEtcd, startEtcd } from './support/etcd-lab.ts';

const debian = debianEtcd();
const newer = await newEtcd();
const value = new Uint8Array(2000).fill(65);

for (const [name, binary, missing] of [
  ['etcd 3.4', debian, 'the Debian package etcd-server is not installed'],
  ['etcd 3.6', newer.path, newer.missing ?? ''],
] as const) {
  it(`loses no acknowledged write, tears none and leaves no gap in a watch, when ${name} is killed`, async (t) => {
    if (!binary) return t.skip(missing);
    const etcd = await startEtcd({ binary });
    const store = await openEtcdStore({ endpoints: [etcd.endpoint], log: silentLogger });
    const stop = new AbortController();
    const seen: StoreEvent[] = [];
    const watching = (async () => {
      for await (const batch of store.watch('/', 0, stop.signal)) seen.push(...batch);
    })();
    try {
      const acknowledged: [string, number][] = [];
      for (const generation of [1, 2, 3]) {
        const wanted = acknowledged.length + 200 + generation * 50;
        const lanes = Array.from({ length: 20 }, (_, lane) => writeUntilFailure(store, `/g${generation}/l${lane}`));
        const writing = lanes.map((lane) => lane.done);
        while (acknowledged.length + lanes.reduce((sum, lane) => sum + lane.written.length, 0) < wanted)
          await new Promise((resolve) => setImmediate(resolve));
        await etcd.kill();
        await Promise.all(writing);
        acknowledged.push(...lanes.flatMap((lane) => lane.written));
        await etcd.restart();
      }
      const { entries, revision } = await store.list('/');
      const byKey = new Map(entries.map((entry) => [entry.key, entry.modRevision]));
      for (const [key, at] of acknowledged) assert.equal(byKey.get(key), at, `${key} was acknowledged at ${at}`);
      for (const key of byKey.keys())
        assert.ok(byKey.has(key.endsWith('/twin') ? key.slice(0, -5) : `${key}/twin`), `${key} has no twin`);
      const last = await store.commit([{ key: '/last', value }]);
      assert.equal(last, revision + 1);
      while (seen.at(-1)?.revision !== last) await new Promise((resolve) => setTimeout(resolve, 20));
      assert.deepEqual(
        seen.map((event) => [event.key, event.revision]).sort(),
        [...byKey, ['/last', last]].sort(),
        'the watch has told every write once',
      );
    } finally {
      stop.abort();
      await watching;
      await store.close();
      await etcd.dispose();
    }
  });
}

/** Pairs of keys, each in one transaction, until one is not acknowledged. */
function writeUntilFailure(store: Store, lane: string) {
  const written: [string, number][] = [];
  const write = async () => {
    for (let i = 0; ; i++) {
      const key = `${lane}/${i}`;
      const revision = await store.commit([
        { key, value },
        { key: `${key}/twin`, value },
      ]);
      written.push([key, revision]);
    }
  };
  const done = write().catch((error) => assert.ok(isReason(error, 'Timeout', 'ServiceUnavailable'), String(error)));
  return { written, done };
}
