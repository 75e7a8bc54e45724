/** The platform's own controllers as users of its API: each has a role, and the role is enough for what it does. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type KubeClient, type KubeObject, type ResourceRef, resources } from '@sampan/api/client.ts';
import { isReason, messageOf } from '@sampan/api/errors.ts';
import { allKinds } from '@sampan/api/kinds/all.ts';
import { componentUser } from '../../src/apiserver/auth/rbac/component-roles.ts';
import { masters } from '../../src/apiserver/auth/user.ts';
import { silentLogger } from '../../src/base/log.ts';
import { type Controllers, createControllers } from '../../src/controllers/controllers.ts';
import { type FakeKubelet, startFakeKubelet } from '../fixtures/fake-kubelet.ts';
import { startTestApi, type TestApi } from './api-test-server.ts';
import { until } from './support/wait.ts';

// biome-ignore lint/suspicious/noExplicitAny: objects of every kind
type Loose = any;

let api: TestApi;
let controllers: Controllers;
let kubelet: FakeKubelet;
const names = new Set<string>();
const refused: string[] = [];

before(async () => {
  api = await startTestApi();
  controllers = createControllers({
    clientFor(name) {
      names.add(name);
      return recording(name, api.server.inProcess(componentUser(name)));
    },
    log: silentLogger,
    kinds: allKinds,
    namespaced: allKinds.map(({ ref }) => ref).filter((ref) => ref.namespaced),
    caCertificate: api.pki.caCertificate,
    certificateAuthority: { read: async () => ({ commonName: '', names: [] }), sign: api.pki.signClient },
    apiServer: { host: '10.1.2.3', port: 6443 },
  });
  await controllers.start();
  kubelet = await startFakeKubelet({
    client: api.client,
    fate: (pod: Loose) => (pod.spec.restartPolicy === 'Always' ? 'ready' : 'succeeded'),
  });
});
after(async () => {
  await kubelet?.[Symbol.asyncDispose]();
  await controllers?.close();
  await api?.[Symbol.asyncDispose]();
});

/** Notes what the user was not allowed. */
function recording(name: string, client: KubeClient): KubeClient {
  const note = (error: unknown) => {
    if (isReason(error, 'Forbidden') && /cannot/.test(error.message)) refused.push(`${name}: ${messageOf(error)}`);
    throw error;
  };
  return new Proxy(client, {
    get(target, property: keyof KubeClient) {
      return (...args: unknown[]) => {
        const answer = (target[property] as (...all: unknown[]) => unknown)(...args);
        if (property === 'watch') return watched(answer as AsyncIterable<unknown>, note);
        return (answer as Promise<unknown>).catch(note);
      };
    },
  });
}

async function* watched(events: AsyncIterable<unknown>, note: (error: unknown) => void): AsyncGenerator<unknown> {
  try {
    yield* events;
  } catch (error) {
    note(error);
  }
}

const namespace = 'work';
const create = (ref: ResourceRef, name: string, rest: object) =>
  api.client.create(ref, { metadata: { name, namespace }, ...rest } as KubeObject);
const get = (ref: ResourceRef, name: string): Promise<Loose> => api.client.get(ref, name, namespace);
const template = (restartPolicy = 'Always') => ({
  metadata: { labels: { app: 'web' } },
  spec: {
    restartPolicy,
    containers: [{ name: 'a', image: 'registry.example/a:1', resources: { requests: { cpu: '1m' } } }],
  },
});
const selector = { matchLabels: { app: 'web' } };

test('every controller has a role of its own', () => {
  assert.deepEqual(
    [...names].filter((name) => componentUser(name).groups.includes(masters)),
    [],
  );
});

test('what the controllers do their roles allow', async () => {
  await api.client.create(resources.namespaces, { metadata: { name: namespace } });
  await create(resources.resourcequotas, 'quota', { spec: { hard: { pods: '20', 'count/deployments.apps': '5' } } });
  await create(resources.services, 'web', { spec: { selector: { app: 'web' }, ports: [{ port: 80 }] } });
  await create(resources.deployments, 'web', { spec: { replicas: 2, selector, template: template() } });
  await create(resources.statefulsets, 'db', {
    spec: { serviceName: 'db', selector: { matchLabels: { app: 'web' } }, template: template() },
  });
  await create(resources.jobs, 'once', { spec: { ttlSecondsAfterFinished: 1, template: template('Never') } });
  await create(resources.cronjobs, 'often', {
    spec: { schedule: '* * * * *', jobTemplate: { spec: { template: template('Never') } } },
  });
  await create(resources.poddisruptionbudgets, 'some', { spec: { minAvailable: 1, selector } });
  const scaleTargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' };
  await create(resources.horizontalpodautoscalers, 'web', { spec: { scaleTargetRef, minReplicas: 1, maxReplicas: 3 } });
  await create(resources.persistentvolumeclaims, 'data', {
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  });

  await until(
    'the Deployment is up',
    async () => (await get(resources.deployments, 'web')).status?.readyReplicas === 2,
    20_000,
  );
  await until(
    'the StatefulSet is up',
    async () => (await get(resources.statefulsets, 'db')).status?.readyReplicas === 1,
    20_000,
  );
  await until(
    'the budget is counted',
    async () => (await get(resources.poddisruptionbudgets, 'some')).status?.expectedPods > 0,
    20_000,
  );
  await until(
    'the autoscaler looked',
    async () => (await get(resources.horizontalpodautoscalers, 'web')).status?.conditions,
    20_000,
  );
  await until(
    'the quota is counted',
    async () => (await get(resources.resourcequotas, 'quota')).status?.used?.pods !== '0',
    20_000,
  );

  const changed = await get(resources.deployments, 'web');
  changed.spec.template.spec.containers[0].image = 'registry.example/a:2';
  await api.client.update(resources.deployments, changed);
  await until(
    'the Deployment is rolled out',
    async () => {
      const { status } = await get(resources.deployments, 'web');
      return status.updatedReplicas === 2 && status.replicas === 2;
    },
    20_000,
  );
  await api.client.delete(resources.deployments, 'web', { namespace, propagationPolicy: 'Foreground' });
  const isGone = (ref: ResourceRef, name: string, where?: string) => () =>
    api.client.get(ref, name, where).then(
      () => false,
      (error) => isReason(error, 'NotFound'),
    );
  await until('the Deployment is gone', isGone(resources.deployments, 'web', namespace));
  await until('the Job is gone', isGone(resources.jobs, 'once', namespace));
  await api.client.delete(resources.namespaces, namespace);
  await until('the namespace is gone', isGone(resources.namespaces, namespace));
  assert.deepEqual([...new Set(refused)], []);
});

test('what takes longer than a test may be done too, and nothing else', async () => {
  const account = 'system:serviceaccount:kube-system:';
  const cases: [string, string, ResourceRef, string, boolean][] = [
    ['cronjob-controller', 'create', resources.jobs, '', true],
    ['cronjob-controller', 'delete', resources.jobs, '', true],
    ['cronjob-controller', 'update', resources.cronjobs, 'status', true],
    ['node-controller', 'update', resources.nodes, '', true],
    ['node-controller', 'update', resources.nodes, 'status', true],
    ['node-controller', 'patch', resources.pods, 'status', true],
    ['node-controller', 'delete', resources.pods, '', true],
    ['horizontal-pod-autoscaler', 'update', resources.deployments, 'scale', true],
    ['horizontal-pod-autoscaler', 'update', resources.deployments, '', false],
    ['deployment-controller', 'get', resources.secrets, '', false],
    ['job-controller', 'create', resources.deployments, '', false],
    ['namespace-controller', 'create', resources.pods, '', false],
  ];
  const reviews = { group: 'authorization.k8s.io', version: 'v1', resource: 'subjectaccessreviews', namespaced: false };
  for (const [name, verb, { group, resource }, subresource, allowed] of cases) {
    const user = componentUser(`${account}${name}`);
    const resourceAttributes = { verb, group, resource, subresource, namespace: 'default' };
    const spec = { user: user.name, groups: user.groups, resourceAttributes };
    const { status } = await api.client.create<Loose>(reviews, { spec });
    assert.equal(status.allowed, allowed, `${name} ${verb} ${resource}/${subresource}`);
  }
});
