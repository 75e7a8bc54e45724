import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import { isReason, type SampanError } from '@sampan/api/errors.ts';
import { allKinds } from '@sampan/api/kinds/all.ts';
import type { LimitRangeItem, ResourceQuota, ResourceQuotaSpec } from 'kubernetes-types/core/v1.js';
import { sharedStore } from '../../../test/fixtures/shared-store.ts';
import { startTestApi, type TestApi, type TestPod, testPod } from '../../../test/integration/api-test-server.ts';
import { until } from '../../../test/integration/support/wait.ts';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { SharedInformers } from '../../controllers/informer/shared-informers.ts';
import { ResourceQuotaController } from '../../controllers/resource-quota.ts';

const { pods, limitranges, resourcequotas, configmaps, namespaces, serviceaccounts, services } = resources;
const { persistentvolumeclaims } = resources;
type Quota = ResourceQuota & KubeObject;

let api: TestApi;
let controller: ResourceQuotaController;
let informers: SharedInformers;
before(async () => {
  api = await startTestApi();
  const parts = { client: api.client, log: silentLogger, clock: systemClock };
  informers = new SharedInformers(parts);
  const namespaced = allKinds.map(({ ref }) => ref).filter((ref) => ref.namespaced);
  controller = new ResourceQuotaController({ ...parts, informers, namespaced });
  await controller.start();
});
after(async () => {
  await controller.close();
  await informers.close();
  await api[Symbol.asyncDispose]();
});

async function namespaceWith(
  name: string,
  ...objects: [(typeof resources)[keyof typeof resources], object][]
): Promise<void> {
  await api.client.create(namespaces, { metadata: { name } });
  await api.client.create(serviceaccounts, { metadata: { name: 'default', namespace: name } });
  for (const [ref, object] of objects)
    await api.client.create(ref, { metadata: { name: ref.resource, namespace: name }, ...object });
}

const limits = (...items: LimitRangeItem[]): [typeof limitranges, object] => [limitranges, { spec: { limits: items } }];
const quota = (spec: ResourceQuotaSpec): [typeof resourcequotas, object] => [resourcequotas, { spec }];

function sizedPod(name: string, namespace: string, asked?: object): TestPod {
  const pod = testPod(name, { namespace });
  if (asked) pod.spec.containers[0]!.resources = asked;
  return pod;
}

const refused = (message: string) => (error: SampanError) => {
  assert.equal(error.message, message);
  return isReason(error, 'Forbidden');
};

async function usedIn(namespace: string): Promise<Record<string, string>> {
  return (await api.client.get<Quota>(resourcequotas, 'resourcequotas', namespace)).status?.used ?? {};
}

const eventually = (holds: () => Promise<boolean>): Promise<boolean> => until('it holds', holds);

describe('a LimitRange', () => {
  test('gives what a container does not name, and says that it did', async () => {
    const item = { type: 'Container', default: { cpu: '1', memory: '1Gi' }, defaultRequest: { cpu: '100m' } };
    await namespaceWith('gives', limits(item));
    const pod = await api.client.create<TestPod>(pods, sizedPod('p', 'gives', { limits: { memory: '2Gi' } }));
    assert.deepEqual(pod.spec.containers[0]?.resources, {
      limits: { cpu: '1', memory: '2Gi' },
      requests: { cpu: '100m', memory: '2Gi' },
    });
    const told = 'LimitRanger plugin set: cpu request for container main; cpu limit for container main';
    assert.equal(pod.metadata?.annotations?.['kubernetes.io/limit-ranger'], told);
  });

  test('refuses what is below, above or too far apart', async () => {
    const item = { type: 'Container', min: { cpu: '100m' }, max: { cpu: '1' }, maxLimitRequestRatio: { cpu: '2' } };
    await namespaceWith('refuses', limits(item, { type: 'Pod', max: { memory: '1Gi' } }));
    const asked = { requests: { cpu: '50m', memory: '2Gi' }, limits: { cpu: '2', memory: '2Gi' } };
    const why = [
      'minimum cpu usage per Container is 100m, but request is 50m',
      'maximum cpu usage per Container is 1, but limit is 2',
      'cpu max limit to request ratio per Container is 2, but provided ratio is 40.000000',
      'maximum memory usage per Pod is 1Gi, but limit is 2Gi',
    ];
    await assert.rejects(
      api.client.create(pods, sizedPod('p', 'refuses', asked)),
      refused(`pods "p" is forbidden: [${why.join(', ')}]`),
    );
    await assert.rejects(
      api.client.create(pods, sizedPod('q', 'refuses', { requests: { cpu: '1' }, limits: { cpu: '1' } })),
      refused('pods "q" is forbidden: maximum memory usage per Pod is 1Gi.  No limit is specified'),
    );
  });

  test('that contradicts itself is refused', async () => {
    const made = api.client.create(limitranges, {
      metadata: { name: 'odd', namespace: 'default' },
      spec: { limits: [{ type: 'Container', min: { cpu: '2' }, max: { cpu: '1' } }] },
    } as KubeObject);
    await assert.rejects(
      made,
      /spec.limits\[0\].min\[cpu\]: Invalid value: "2": min value 2 is greater than max value 1/,
    );
  });
});

describe('a ResourceQuota', () => {
  test('of Pods lets through what it has room for, fifty at once or not', async () => {
    await namespaceWith('crowd', quota({ hard: { pods: '7', 'requests.cpu': '10' } }));
    const asked = { requests: { cpu: '1' } };
    const made = await Promise.allSettled(
      Array.from({ length: 50 }, (_, i) => api.client.create(pods, sizedPod(`p${i}`, 'crowd', asked))),
    );
    assert.equal(made.filter(({ status }) => status === 'fulfilled').length, 7);
    const message = 'exceeded quota: resourcequotas, requested: pods=1, used: pods=7, limited: pods=7';
    for (const one of made)
      if (one.status === 'rejected') assert.match(one.reason.message, new RegExp(`is forbidden: ${message}$`));
    assert.deepEqual(await usedIn('crowd'), { pods: '7', 'requests.cpu': '7' });
    assert.equal((await api.client.list(pods, { namespace: 'crowd' })).items.length, 7);
  });

  test('holds when two servers on one store let Pods in', async () => {
    await namespaceWith('two', quota({ hard: { pods: '7' } }));
    await using other = await startTestApi({ store: sharedStore(api.store) });
    const made = await Promise.allSettled(
      Array.from({ length: 40 }, (_, i) => (i % 2 ? api : other).client.create(pods, sizedPod(`p${i}`, 'two'))),
    );
    for (const one of made) if (one.status === 'rejected') assert.match(one.reason.message, /exceeded quota/);
    assert.equal(made.filter(({ status }) => status === 'fulfilled').length, 7);
    assert.equal((await usedIn('two')).pods, '7');
  });

  test('has room again when a Pod goes, or has ended', async () => {
    await namespaceWith('room', quota({ hard: { pods: '2' } }));
    await api.client.create(pods, sizedPod('a', 'room'));
    const ended = await api.client.create<TestPod>(pods, sizedPod('b', 'room'));
    await assert.rejects(api.client.create(pods, sizedPod('c', 'room')), /exceeded quota/);
    await api.client.delete(pods, 'a', { namespace: 'room', gracePeriodSeconds: 0 });
    await eventually(async () => (await usedIn('room')).pods === '1');
    await api.client.update(pods, { ...ended, status: { phase: 'Succeeded' } }, { subresource: 'status' });
    await eventually(async () => (await usedIn('room')).pods === '0');
    await api.client.create(pods, sizedPod('c', 'room'));
    assert.equal((await usedIn('room')).pods, '1');
  });

  test('of CPU or memory wants every container to say', async () => {
    await namespaceWith('says', quota({ hard: { 'limits.cpu': '2', 'requests.memory': '1Gi' } }));
    await assert.rejects(
      api.client.create(pods, sizedPod('p', 'says', { limits: { cpu: '1' } })),
      refused('pods "p" is forbidden: failed quota: resourcequotas: must specify requests.memory for: main'),
    );
    const asked = { limits: { cpu: '1500m' }, requests: { memory: '1Gi', cpu: '1' } };
    await api.client.create(pods, sizedPod('p', 'says', asked));
    const over = { limits: { cpu: '1' }, requests: { memory: '1Mi', cpu: '1' } };
    const message =
      'exceeded quota: resourcequotas, requested: limits.cpu=1,requests.memory=1Mi, used: limits.cpu=1500m,requests.memory=1Gi, limited: limits.cpu=2,requests.memory=1Gi';
    await assert.rejects(
      api.client.create(pods, sizedPod('q', 'says', over)),
      refused(`pods "q" is forbidden: ${message}`),
    );
  });

  test('counts objects of any kind', async () => {
    const hard = { 'count/configmaps': '1', 'count/leases.coordination.k8s.io': '1', configmaps: '5' };
    await namespaceWith('counts', quota({ hard }));
    const named = (name: string) => ({ metadata: { name, namespace: 'counts' } });
    await api.client.create(configmaps, named('one'));
    await api.client.create(resources.leases, named('one'));
    const message =
      'exceeded quota: resourcequotas, requested: count/configmaps=1, used: count/configmaps=1, limited: count/configmaps=1';
    await assert.rejects(
      api.client.create(configmaps, named('two')),
      refused(`configmaps "two" is forbidden: ${message}`),
    );
    await assert.rejects(api.client.create(resources.leases, named('two')), /count\/leases.coordination.k8s.io=1/);
    await api.client.delete(configmaps, 'one', { namespace: 'counts' });
    await eventually(async () => (await usedIn('counts'))['count/configmaps'] === '0');
    await api.client.create(configmaps, named('two'));
  });

  test('is charged for what a Service or a claim comes to count for', async () => {
    const hard = { 'services.nodeports': '2', 'services.loadbalancers': '0', 'requests.storage': '10Gi' };
    await namespaceWith('grows', quota({ hard }));
    const ports = [1, 2].map((port) => ({ name: `p${port}`, port }));
    const metadata = { name: 'web', namespace: 'grows' };
    const write = (spec: object) => api.client.update(services, { metadata, spec: { ports, ...spec } } as KubeObject);
    await api.client.create(services, { metadata, spec: { ports } } as KubeObject);
    await write({ type: 'NodePort' });
    assert.equal((await usedIn('grows'))['services.nodeports'], '2');
    // What it counts for already is not counted again.
    await write({ type: 'NodePort', selector: { a: 'b' } });
    const more = [...ports, { name: 'p3', port: 3 }];
    const message =
      'exceeded quota: resourcequotas, requested: services.nodeports=1, used: services.nodeports=2, limited: services.nodeports=2';
    await assert.rejects(write({ type: 'NodePort', ports: more }), refused(`services "web" is forbidden: ${message}`));
    await assert.rejects(write({ type: 'LoadBalancer' }), /requested: services.loadbalancers=1/);
    await write({ type: 'ClusterIP' });
    await eventually(async () => (await usedIn('grows'))['services.nodeports'] === '0');

    const claim = (storage: string) => ({
      metadata: { name: 'data', namespace: 'grows' },
      spec: { accessModes: ['ReadWriteOnce'], volumeName: 'pv', resources: { requests: { storage } } },
    });
    await api.client.create(persistentvolumeclaims, claim('4Gi') as KubeObject);
    const grow = (storage: string) =>
      api.client.patch(
        persistentvolumeclaims,
        'data',
        { spec: { resources: { requests: { storage } } } },
        { namespace: 'grows', type: 'application/merge-patch+json' },
      );
    await grow('10Gi');
    assert.equal((await usedIn('grows'))['requests.storage'], '10Gi');
    await assert.rejects(grow('11Gi'), /requested: requests.storage=1Gi, used: requests.storage=10Gi/);
  });

  test('with a scope is about the Pods in it alone', async () => {
    await namespaceWith('scoped', quota({ hard: { pods: '0' }, scopes: ['BestEffort', 'NotTerminating'] }));
    await api.client.create(pods, sizedPod('sized', 'scoped', { requests: { cpu: '1' } }));
    const ending = sizedPod('ending', 'scoped');
    ending.spec.activeDeadlineSeconds = 60;
    await api.client.create(pods, ending);
    await assert.rejects(api.client.create(pods, sizedPod('plain', 'scoped')), /exceeded quota/);

    const matchExpressions = [{ scopeName: 'PriorityClass', operator: 'In', values: ['system-node-critical'] }];
    await namespaceWith('critical', quota({ hard: { pods: '0' }, scopeSelector: { matchExpressions } }));
    await api.client.create(pods, sizedPod('plain', 'critical'));
    const critical = sizedPod('critical', 'critical');
    critical.spec.priorityClassName = 'system-node-critical';
    await assert.rejects(api.client.create(pods, critical), /exceeded quota/);
  });

  test('is charged nothing for a create that fails, or that only tries', async () => {
    await namespaceWith('failing', quota({ hard: { configmaps: '3' } }));
    const named = { metadata: { name: 'one', namespace: 'failing' } };
    await api.client.create(configmaps, named);
    await assert.rejects(api.client.create(configmaps, named), /already exists/);
    assert.equal((await usedIn('failing')).configmaps, '1');
  });

  test('whose scopes contradict each other, or that counts what nobody knows, is refused', async () => {
    const make = (spec: ResourceQuotaSpec) =>
      api.client.create(resourcequotas, { metadata: { name: 'odd', namespace: 'default' }, spec } as KubeObject);
    await assert.rejects(make({ hard: { pods: '1' }, scopes: ['BestEffort', 'NotBestEffort'] }), /conflicting scopes/);
    await assert.rejects(make({ hard: { cpu: '1' }, scopes: ['BestEffort'] }), /unsupported scope applied to resource/);
    await assert.rejects(make({ hard: { gadgets: '1' } }), /must be a standard resource for quota/);
    await assert.rejects(make({ hard: { pods: '1500m' } }), /must be an integer/);
  });
});
