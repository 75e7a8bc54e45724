import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type KubeObject, type ResourceRef, resources } from '@sampan/api/client.ts';
import { startTestApi, type TestApi, testPod } from '../../../test/integration/api-test-server.ts';
import { until } from '../../../test/integration/support/wait.ts';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { SharedInformers } from '../informer/shared-informers.ts';
import { EndpointSliceController } from './endpoint-slice-controller.ts';
import type { EndpointsObject } from './endpoints-object.ts';
import type { SliceObject } from './plan-slices.ts';

const eventually = (check: () => Promise<void>) =>
  until('what the controller was to do', () => check().then(() => true), 10_000);

interface Lab {
  api: TestApi;
  slices(): Promise<SliceObject[]>;
  /** Addresses with their readiness, from the slices. */
  addresses(): Promise<string[]>;
  make(ref: ResourceRef, object: object): Promise<KubeObject>;
}

async function withController(work: (lab: Lab) => Promise<void>): Promise<void> {
  await using api = await startTestApi();
  const options = { client: api.client, log: silentLogger, clock: systemClock };
  const informers = new SharedInformers(options);
  const controller = new EndpointSliceController({ ...options, informers });
  await controller.start();
  const slices = async () => (await api.client.list<SliceObject>(resources.endpointslices)).items;
  try {
    await work({
      api,
      slices,
      addresses: async () =>
        (await slices())
          .flatMap(({ endpoints }) => endpoints.map((one) => `${one.addresses[0]} ${one.conditions?.ready}`))
          .sort(),
      make: (ref, object) => api.client.create(ref, object as KubeObject, { namespace: 'default' }),
    });
  } finally {
    await controller.close();
    await informers.close();
  }
}

const service = (change: object = {}) => ({
  metadata: { name: 'web', namespace: 'default', labels: { tier: 'front' } },
  spec: { selector: { app: 'web' }, ports: [{ port: 80 }], ...change },
});

/** A Pod with an address, as its node would report it. */
async function runningPod({ api }: Lab, name: string, address: string, ready = true): Promise<void> {
  const made = await api.client.create(resources.pods, testPod(name, { labels: { app: 'web' } }), {
    namespace: 'default',
  });
  const conditions = [{ type: 'Ready', status: ready ? 'True' : 'False' }];
  const status = { phase: 'Running', podIP: address, podIPs: [{ ip: address }], conditions };
  await api.client.update(resources.pods, { ...made, status } as KubeObject, { subresource: 'status' });
}

describe('the EndpointSlice controller', () => {
  it('keeps slices and Endpoints true while Pods come, turn ready and go, and clears up after the Service', () =>
    withController(async (lab) => {
      await lab.make(resources.services, service());
      await eventually(async () => assert.equal((await lab.slices()).length, 1));
      await runningPod(lab, 'one', '10.0.0.1');
      await runningPod(lab, 'two', '10.0.0.2', false);
      await eventually(async () => assert.deepEqual(await lab.addresses(), ['10.0.0.1 true', '10.0.0.2 false']));
      const [slice] = await lab.slices();
      assert.equal((await lab.slices()).length, 1);
      assert.equal(slice?.metadata?.labels?.['kubernetes.io/service-name'], 'web');
      assert.equal(slice?.metadata?.labels?.tier, 'front');
      assert.equal(slice?.metadata?.ownerReferences?.[0]?.kind, 'Service');
      await eventually(async () => {
        const { subsets } = await lab.api.client.get<EndpointsObject>(resources.endpoints, 'web', 'default');
        assert.deepEqual(
          subsets?.[0]?.addresses?.map(({ ip }) => ip),
          ['10.0.0.1'],
        );
        assert.deepEqual(
          subsets?.[0]?.notReadyAddresses?.map(({ ip }) => ip),
          ['10.0.0.2'],
        );
      });
      await lab.api.client.delete(resources.pods, 'one', { namespace: 'default', gracePeriodSeconds: 0 });
      await eventually(async () => assert.deepEqual(await lab.addresses(), ['10.0.0.2 false']));
      await lab.api.client.delete(resources.services, 'web', { namespace: 'default' });
      await eventually(async () => {
        assert.deepEqual(await lab.slices(), []);
        assert.deepEqual((await lab.api.client.list(resources.endpoints)).items, []);
      });
    }));

  it('makes one slice however many Pods come at once', () =>
    withController(async (lab) => {
      await lab.make(resources.services, service());
      await Promise.all(Array.from({ length: 40 }, (_, i) => runningPod(lab, `p${i}`, `10.0.1.${i}`)));
      await eventually(async () => assert.equal((await lab.addresses()).length, 40));
      assert.equal((await lab.slices()).length, 1);
    }));

  it('leaves slices that others manage alone', () =>
    withController(async (lab) => {
      await lab.make(resources.services, service());
      const labels = { 'kubernetes.io/service-name': 'web', 'endpointslice.kubernetes.io/managed-by': 'me' };
      const endpoints = [{ addresses: ['10.9.9.9'] }];
      const metadata = { name: 'mine', namespace: 'default', labels };
      await lab.make(resources.endpointslices, { metadata, addressType: 'IPv4', endpoints });
      await runningPod(lab, 'one', '10.0.0.1');
      await eventually(async () => assert.equal((await lab.addresses()).length, 2));
      assert.ok((await lab.slices()).some((slice) => slice.metadata?.name === 'mine'));
    }));

  it('mirrors Endpoints that people keep for a Service without a selector', () =>
    withController(async (lab) => {
      await lab.make(resources.services, service({ selector: undefined }));
      const subsets = [{ addresses: [{ ip: '10.7.0.1' }, { ip: '2001:db8::1' }], ports: [{ port: 5432 }] }];
      const kept = await lab.make(resources.endpoints, { metadata: { name: 'web', namespace: 'default' }, subsets });
      await eventually(async () => assert.equal((await lab.slices()).length, 2));
      assert.deepEqual((await lab.slices()).map(({ addressType }) => addressType).sort(), ['IPv4', 'IPv6']);
      await lab.api.client.update(resources.endpoints, { ...kept, subsets: [] } as KubeObject);
      await eventually(async () => assert.deepEqual(await lab.slices(), []));
    }));
});
