import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import { createMeasuredNode } from '../../../test/fixtures/measured-node.ts';
import { startTestApi, type TestApi, type TestPod, testPod } from '../../../test/integration/api-test-server.ts';
import { type Clock, FakeClock } from '../../base/clock.ts';
import { systemUser } from '../auth/user.ts';
import { type NodeMetrics, nodeMetricsRef, type PodMetrics, podMetricsRef } from './metrics.ts';

const start = Date.UTC(2026, 0, 2, 3, 4, 5);
let ms = start;
const real = new FakeClock(start);
/** Waiting between two samples is over at once, and time has passed; background work, which can be called off, stays asleep. */
const clock: Clock = {
  now: () => ms,
  monotonicMs: () => ms,
  sleep: async (for_, signal) => {
    if (signal || for_ !== 1_000) return real.sleep(for_, signal);
    ms += for_;
  },
};

const node = createMeasuredNode();
let api: TestApi;
let web: TestPod;
let starting: TestPod;
before(async () => {
  api = await startTestApi({ clock, more: { gateway: () => node.gateway } });
  web = await api.client.create<TestPod>(resources.pods, testPod('web', { labels: { app: 'web' } }));
  starting = await api.client.create<TestPod>(resources.pods, testPod('starting'));
  await api.client.create(resources.nodes, { metadata: { name: 'lab', labels: { room: 'a' } } });
  await api.client.create(resources.nodes, { metadata: { name: 'elsewhere' } });
});
after(() => api[Symbol.asyncDispose]());

const key = ({ metadata }: KubeObject) => ({
  namespace: metadata?.namespace ?? '',
  name: metadata?.name ?? '',
  uid: metadata?.uid ?? '',
});

beforeEach(() => {
  ms += 60_000;
  node.pods = [
    {
      pod: key(web),
      containers: [
        { name: 'main', nanoCores: 250_000_000, bytes: 3 * 1024 * 1024 },
        { name: 'side', nanoCores: 1_234, bytes: 1_500 },
      ],
    },
  ];
});

describe('PodMetrics', () => {
  test('tell what every container uses, in canonical quantities, with the labels of the Pod', async () => {
    const [only, ...more] = (await api.client.list<PodMetrics>(podMetricsRef, { namespace: 'default' })).items;
    const timestamp = `${new Date(ms).toISOString().slice(0, 19)}Z`;
    assert.deepEqual(only, {
      kind: 'PodMetrics',
      apiVersion: 'metrics.k8s.io/v1beta1',
      metadata: { name: 'web', namespace: 'default', creationTimestamp: timestamp, labels: { app: 'web' } },
      timestamp,
      window: '1s',
      containers: [
        { name: 'main', usage: { cpu: '250m', memory: '3Mi' } },
        { name: 'side', usage: { cpu: '1234n', memory: '1500' } },
      ],
    });
    assert.deepEqual(more, []);
    assert.deepEqual(await api.client.get(podMetricsRef, 'web', 'default'), only);
  });

  test('are chosen as Pods are: by namespace, label and field', async () => {
    const names = async (options: object) =>
      (await api.client.list(podMetricsRef, options)).items.map(({ metadata }) => metadata?.name);
    assert.deepEqual(await names({}), ['web']);
    assert.deepEqual(await names({ namespace: 'kube-system' }), []);
    assert.deepEqual(await names({ labelSelector: 'app in (web, db)' }), ['web']);
    assert.deepEqual(await names({ labelSelector: 'app!=web' }), []);
    assert.deepEqual(await names({ fieldSelector: 'metadata.name=web,status.phase=Pending' }), ['web']);
    assert.deepEqual(await names({ fieldSelector: 'metadata.name!=web' }), []);
    await assert.rejects(names({ labelSelector: 'app in (' }), (error) => isReason(error, 'BadRequest'));
  });

  test('of a Pod that lacks a figure of one container are not told at all', async () => {
    node.pods[0]?.containers.push({ name: 'new', bytes: 5 });
    assert.deepEqual((await api.client.list(podMetricsRef)).items, []);
  });

  test('of a Pod that has not started are not found', async () => {
    node.pods.push({ pod: key(starting), containers: [] });
    await assert.rejects(api.client.get(podMetricsRef, 'starting', 'default'), {
      reason: 'NotFound',
      message: 'podmetrics.metrics.k8s.io "default/starting" not found',
    });
  });

  test("are not those of the name's bearer before", async () => {
    node.pods = node.pods.map((one) => ({ ...one, pod: { ...one.pod, uid: 'of-yesterday' } }));
    assert.deepEqual((await api.client.list(podMetricsRef)).items, []);
  });
});

describe('NodeMetrics', () => {
  test('tell the sum of the node that runs here, and of no other', async () => {
    const { items } = await api.client.list<NodeMetrics>(nodeMetricsRef);
    assert.deepEqual(
      items.map(({ metadata, usage }) => [metadata?.name, metadata?.labels?.room, usage]),
      [['lab', 'a', { cpu: '250001234n', memory: '3147228' }]],
    );
    assert.deepEqual((await api.client.list(nodeMetricsRef, { labelSelector: 'room=b' })).items, []);
    await assert.rejects(api.client.get(nodeMetricsRef, 'elsewhere'), (error) => isReason(error, 'NotFound'));
  });
});

test('figures are told only to whom the authorizers allow', async () => {
  const stranger = api.server.inProcess({ ...systemUser('stranger'), groups: [] });
  await assert.rejects(stranger.list(podMetricsRef, { namespace: 'default' }), {
    reason: 'Forbidden',
    message:
      'pods.metrics.k8s.io is forbidden: User "stranger" cannot list resource "pods" in API group "metrics.k8s.io" in the namespace "default"',
  });
});

test('what is computed cannot be written', async () => {
  await assert.rejects(api.client.create(podMetricsRef, web), (error) => isReason(error, 'NotFound'));
  await assert.rejects(api.client.delete(podMetricsRef, 'web', { namespace: 'default' }), (error) =>
    isReason(error, 'NotFound'),
  );
});
