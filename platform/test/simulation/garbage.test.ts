/** The garbage collector on an API whose watches lag and break: what has no owner goes, what has one stays. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type KubeClient, type KubeObject, resources } from '@sampan/api/client.ts';
import { allKinds } from '@sampan/api/kinds/all.ts';
import { FakeClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { GarbageCollector } from '../../src/controllers/garbage-collector/garbage-collector.ts';
import { SharedInformers } from '../../src/controllers/informer/shared-informers.ts';
import { faultyClient, randomFrom } from '../fixtures/faulty-client.ts';
import { startTestApi } from '../integration/api-test-server.ts';

async function world(seed = 1, served = allKinds) {
  const clock = new FakeClock();
  const api = await startTestApi({ clock });
  const client = faultyClient(api.client, { random: randomFrom(seed), refused: 0.1, lag: 10, broken: 0.05 });
  const informers = new SharedInformers({ client, log: silentLogger, clock });
  const kinds = served.filter(({ kind }) => kind !== 'Event');
  const collector = new GarbageCollector({ client, informers, log: silentLogger, clock, kinds });
  const started = collector.start();
  const pass = async () => {
    for (let step = 0; step < 60; step++) await clock.advance(500);
  };
  await pass();
  await started;
  return {
    client: api.client,
    collector,
    pass,
    async [Symbol.asyncDispose]() {
      const closing = Promise.all([collector.close(), informers.close()]);
      await clock.advance(60_000);
      await closing;
      await api[Symbol.asyncDispose]();
    },
  };
}

const refs = { map: resources.configmaps, secret: resources.secrets };
const types = { map: 'ConfigMap', secret: 'Secret' };

async function make(client: KubeClient, kind: 'map' | 'secret', name: string, owners: KubeObject[] = []) {
  const ownerReferences = owners.map((owner) => ({
    apiVersion: 'v1',
    kind: owner.kind!,
    name: owner.metadata!.name!,
    uid: owner.metadata!.uid!,
    blockOwnerDeletion: true,
  }));
  const object = { kind: types[kind], apiVersion: 'v1', metadata: { name, namespace: 'default', ownerReferences } };
  return client.create<KubeObject>(refs[kind], object);
}

const isThere = (client: KubeClient, kind: 'map' | 'secret', name: string) =>
  client.get<KubeObject>(refs[kind], name, 'default').catch(() => undefined);

for (const seed of [1, 2, 3]) {
  test(`dependents over several kinds go with their last owner, and no sooner (seed ${seed})`, async () => {
    await using lab = await world(seed);
    const { client } = lab;
    const [a, b] = [await make(client, 'map', 'a'), await make(client, 'secret', 'b')];
    const child = await make(client, 'secret', 'child', [a, b]);
    await make(client, 'map', 'grandchild', [child]);
    const ghost = { ...a, metadata: { ...a.metadata, name: 'ghost', uid: 'never-was' } };
    await make(client, 'map', 'of-a-ghost', [ghost]);
    // The name is right and the uid another's: an owner that came after the real one was gone.
    await make(client, 'map', 'of-a-namesake', [{ ...a, metadata: { ...a.metadata, uid: 'an-earlier-a' } }]);
    await make(client, 'map', 'of-an-unknown-kind', [{ ...a, kind: 'Gadget' }]);
    await lab.pass();
    assert.equal(await isThere(client, 'map', 'of-a-ghost'), undefined);
    assert.equal(await isThere(client, 'map', 'of-a-namesake'), undefined);
    assert.ok(await isThere(client, 'map', 'of-an-unknown-kind'));
    await client.delete(refs.map, 'a', { namespace: 'default' });
    await lab.pass();
    const kept = await isThere(client, 'secret', 'child');
    assert.deepEqual(
      kept?.metadata?.ownerReferences?.map(({ name }) => name),
      ['b'],
    );
    assert.ok(await isThere(client, 'map', 'grandchild'));
    await client.delete(refs.secret, 'b', { namespace: 'default' });
    await lab.pass();
    assert.equal(await isThere(client, 'secret', 'child'), undefined);
    assert.equal(await isThere(client, 'map', 'grandchild'), undefined);
  });

  test(`in the foreground owners go last; orphans stay (seed ${seed})`, async () => {
    await using lab = await world(seed);
    const { client } = lab;
    const top = await make(client, 'map', 'top');
    const middle = await make(client, 'secret', 'middle', [top]);
    const leaf = await make(client, 'map', 'leaf', [middle]);
    // Somebody else holds the leaf for a while.
    await client.update(refs.map, { ...leaf, metadata: { ...leaf.metadata, finalizers: ['example.com/hold'] } });
    await lab.pass();
    await client.delete(refs.map, 'top', { namespace: 'default', propagationPolicy: 'Foreground' });
    await lab.pass();
    assert.deepEqual((await isThere(client, 'map', 'top'))?.metadata?.finalizers, ['foregroundDeletion']);
    assert.ok((await isThere(client, 'secret', 'middle'))?.metadata?.deletionTimestamp);
    const held = await isThere(client, 'map', 'leaf');
    assert.ok(held?.metadata?.deletionTimestamp);
    await client.update(refs.map, { ...held, metadata: { ...held.metadata, finalizers: [] } });
    await lab.pass();
    for (const [kind, name] of [
      ['map', 'top'],
      ['secret', 'middle'],
      ['map', 'leaf'],
    ] as const) {
      assert.equal(await isThere(client, kind, name), undefined, `${name} is still there`);
    }

    const owner = await make(client, 'map', 'owner');
    await make(client, 'secret', 'left', [owner]);
    await lab.pass();
    await client.delete(refs.map, 'owner', { namespace: 'default', propagationPolicy: 'Orphan' });
    await lab.pass();
    assert.equal(await isThere(client, 'map', 'owner'), undefined);
    assert.equal((await isThere(client, 'secret', 'left'))?.metadata?.ownerReferences?.length ?? 0, 0);
  });
}

test('owners of a kind that is not served are not taken for gone until it is', async () => {
  await using lab = await world(
    7,
    allKinds.filter(({ kind }) => kind !== 'Secret'),
  );
  const { client } = lab;
  const owner = await make(client, 'secret', 'owner');
  await make(client, 'map', 'kept', [owner]);
  await make(client, 'map', 'left', [{ ...owner, metadata: { ...owner.metadata, uid: 'never-was' } }]);
  await lab.pass();
  assert.ok(await isThere(client, 'map', 'left'));
  const served = lab.collector.setKinds(allKinds.filter(({ kind }) => kind !== 'Event'));
  await lab.pass();
  await served;
  await lab.pass();
  assert.equal(await isThere(client, 'map', 'left'), undefined);
  assert.ok(await isThere(client, 'map', 'kept'));
});
