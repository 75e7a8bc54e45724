import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import { serviceKind } from '@sampan/api/kinds/service/service.ts';
import type { Service } from 'kubernetes-types/core/v1.js';
import { startTestApi, type TestApi } from '../../../test/integration/api-test-server.ts';
import { createMemoryStore } from '../../store/memory/memory-store.ts';
import { claimsRoot } from '../verbs/claims.ts';
import { addressAt, isIn, parseIpv4Range } from './ipv4-range.ts';

type Stored = Service & KubeObject;

/** Eight addresses of which six may be had. */
const cidr = '10.99.0.0/29';

async function withApi(work: (api: TestApi) => Promise<void>, serviceNetwork: object = { cidr }): Promise<void> {
  await using api = await startTestApi({ more: { serviceNetwork } });
  await work(api);
}

function make({ client }: TestApi, name: string, spec: object = {}): Promise<Stored> {
  const object = { metadata: { name, namespace: 'default' }, spec: { ports: [{ port: 80 }], ...spec } };
  return client.create<Stored>(resources.services, object as Stored, { namespace: 'default' });
}

const claims = async ({ store }: TestApi): Promise<string[]> =>
  (await store.list(claimsRoot)).entries.map(({ key }) => key.slice(claimsRoot.length));

const refused = (reason: 'Invalid' | 'InternalError', message: RegExp) => (error: unknown) =>
  isReason(error, reason) && message.test(error.message);

describe('service addresses', () => {
  it('are out of the range and differ, until the range is full; a deleted Service gives its own back', () =>
    withApi(async (api) => {
      const made: Stored[] = [];
      for (let i = 0; i < 6; i++) made.push(await make(api, `s${i}`));
      const addresses = made.map(({ spec }) => spec!.clusterIP!);
      assert.equal(new Set(addresses).size, 6);
      const range = parseIpv4Range(cidr);
      assert.ok(addresses.every((address) => isIn(range, address)));
      await assert.rejects(make(api, 'seventh'), refused('InternalError', /range is full/));
      await api.client.delete(resources.services, 's3', { namespace: 'default' });
      assert.equal((await make(api, 'seventh')).spec?.clusterIP, addresses[3]);
      assert.equal((await claims(api)).length, 6);
    }));

  it('may be asked for by name, once, and within the range', () =>
    withApi(async (api) => {
      const { spec } = await make(api, 'one', { clusterIP: '10.99.0.4' });
      assert.deepEqual(spec?.clusterIPs, ['10.99.0.4']);
      assert.deepEqual([spec?.ipFamilies, spec?.ipFamilyPolicy], [['IPv4'], 'SingleStack']);
      await assert.rejects(
        make(api, 'two', { clusterIP: '10.99.0.4' }),
        refused('Invalid', /provided IP is already allocated/),
      );
      await assert.rejects(make(api, 'two', { clusterIP: '10.98.0.4' }), refused('Invalid', /not in the valid range/));
      await assert.rejects(make(api, 'two', { clusterIP: '10.99.0.7' }), refused('Invalid', /not in the valid range/));
    }));

  it('are not given to headless Services and names of others', () =>
    withApi(async (api) => {
      assert.equal((await make(api, 'headless', { clusterIP: 'None' })).spec?.clusterIP, 'None');
      const external = await make(api, 'external', { type: 'ExternalName', externalName: 'a.example' });
      assert.equal(external.spec?.clusterIP, undefined);
      assert.deepEqual(await claims(api), []);
    }));

  it('are not taken by a refused Service or one that is there already', () =>
    withApi(async (api) => {
      await make(api, 'web');
      const before = await claims(api);
      await assert.rejects(make(api, 'web'), (error) => isReason(error, 'AlreadyExists'));
      await assert.rejects(make(api, 'Wrong'), (error) => isReason(error, 'Invalid'));
      assert.deepEqual(await claims(api), before);
    }));

  it('stay when an update leaves them out, and go with a type that has none', () =>
    withApi(async (api) => {
      const made = await make(api, 'web');
      const bare = { metadata: { name: 'web', namespace: 'default' }, spec: { ports: [{ port: 81 }] } } as Stored;
      const updated = await api.client.update<Stored>(resources.services, bare);
      assert.equal(updated.spec?.clusterIP, made.spec?.clusterIP);
      await assert.rejects(
        api.client.update(resources.services, { ...bare, spec: { ...bare.spec, clusterIP: '10.99.0.9' } } as Stored),
        /not in the valid range|may not change once set/,
      );
      const spec = { ...updated.spec, type: 'ExternalName', externalName: 'a.example' };
      const external = await api.client.update<Stored>(resources.services, { ...updated, spec } as Stored);
      assert.equal(external.spec?.clusterIP, undefined);
      assert.deepEqual(await claims(api), []);
      const back = await api.client.update<Stored>(resources.services, { ...bare } as Stored);
      assert.ok(isIn(parseIpv4Range(cidr), back.spec!.clusterIP!));
    }));

  it('come with node ports for those who want to be reached from outside, and the ports go with the type', () =>
    withApi(
      async (api) => {
        const made = await make(api, 'web', { type: 'NodePort' });
        const port = made.spec!.ports![0]!.nodePort!;
        assert.ok(port === 30_000 || port === 30_001);
        const other = await make(api, 'other', { type: 'NodePort' });
        assert.equal(other.spec!.ports![0]!.nodePort, port === 30_000 ? 30_001 : 30_000);
        const ports = [{ port: 80, nodePort: port }];
        await assert.rejects(
          make(api, 'x', { type: 'NodePort', ports }),
          refused('Invalid', /port is already allocated/),
        );
        const wrong = [{ port: 80, nodePort: 80 }];
        await assert.rejects(
          make(api, 'x', { type: 'NodePort', ports: wrong }),
          refused('Invalid', /range of valid ports is/),
        );
        await assert.rejects(make(api, 'x', { type: 'NodePort' }), refused('InternalError', /range is full/));
        const patch = { spec: { type: 'ClusterIP' } };
        const type = 'application/merge-patch+json';
        const patched = await api.client.patch<Stored>(resources.services, 'web', patch, {
          namespace: 'default',
          type,
        });
        assert.equal(patched.spec?.ports?.[0]?.nodePort, undefined);
        assert.equal((await make(api, 'x', { type: 'NodePort', ports })).spec?.ports?.[0]?.nodePort, port);
      },
      { cidr, nodePorts: [30_000, 30_001] },
    ));

  it('of two servers over one store never are the same, however they race', async () => {
    const store = createMemoryStore();
    await using one = await startTestApi({ store, more: { serviceNetwork: { cidr: '10.99.0.0/27' } } });
    await using two = await startTestApi({ store, more: { serviceNetwork: { cidr: '10.99.0.0/27' } } });
    const made = await Promise.all(
      Array.from({ length: 24 }, (_, i) => make(i % 2 ? one : two, `s${i}`, { type: 'NodePort' })),
    );
    assert.equal(new Set(made.map(({ spec }) => spec?.clusterIP)).size, 24);
    assert.equal(new Set(made.map(({ spec }) => spec?.ports?.[0]?.nodePort)).size, 24);
    const asked = await Promise.allSettled(
      ['a', 'b', 'c', 'd'].map((name, i) => make(i % 2 ? one : two, name, { clusterIP: free(made) })),
    );
    assert.equal(asked.filter(({ status }) => status === 'fulfilled').length, 1);
    assert.equal((await claims(one)).length, 24 * 2 + 1);
  });
});

function free(made: Stored[]): string {
  const range = parseIpv4Range('10.99.0.0/27');
  const taken = new Set(made.map(({ spec }) => spec?.clusterIP));
  for (let offset = 1; ; offset++) if (!taken.has(addressAt(range, offset))) return addressAt(range, offset);
}

describe('a Service', () => {
  it('claims what it holds alone, and nothing that it does not hold', () => {
    const claimed = (spec: object) => serviceKind.claims!({ spec } as KubeObject);
    assert.deepEqual(claimed({ clusterIPs: ['10.0.0.1'], ports: [{ nodePort: 3 }, { nodePort: 3 }] }), [
      'service-addresses/10.0.0.1',
      'node-ports/3',
    ]);
    assert.deepEqual(claimed({ clusterIPs: ['None'], ports: [{ port: 1 }] }), []);
  });
});
