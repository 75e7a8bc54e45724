/** The official JavaScript client: objects, pages, patches, watches by informer, errors. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  ApiException,
  AppsV1Api,
  CoreV1Api,
  KubeConfig,
  KubernetesObjectApi,
  makeInformer,
  PatchStrategy,
  setHeaderOptions,
  type V1ConfigMap,
} from '@kubernetes/client-node';
import { type ClientsLab, startClientsLab } from './clients-lab.ts';
import { until } from './support/wait.ts';

const namespace = 'default';
const config = new KubeConfig();
let lab: ClientsLab;
let core: CoreV1Api;
before(async () => {
  lab = await startClientsLab();
  config.loadFromFile(lab.kubeconfig);
  core = config.makeApiClient(CoreV1Api);
});
after(() => lab[Symbol.asyncDispose]());

const map = (name: string, data: Record<string, string> = {}): V1ConfigMap => ({
  metadata: { name, labels: { test: 'js' } },
  data,
});
const body = (name: string) => ({ namespace, body: map(name) });

test('creates, reads, replaces and deletes, and a stale version is refused', async () => {
  const made = await core.createNamespacedConfigMap({ namespace, body: map('one', { a: '1' }) });
  assert.ok(made.metadata?.creationTimestamp instanceof Date);
  const changed = { ...made, data: { a: '2' } };
  const replaced = await core.replaceNamespacedConfigMap({ namespace, name: 'one', body: changed });
  assert.notEqual(replaced.metadata?.resourceVersion, made.metadata?.resourceVersion);
  const stale = { ...made, data: { a: '3' } };
  await assert.rejects(
    core.replaceNamespacedConfigMap({ namespace, name: 'one', body: stale }),
    (error) => error instanceof ApiException && error.code === 409,
  );
  await core.deleteNamespacedConfigMap({ namespace, name: 'one' });
  await assert.rejects(
    core.readNamespacedConfigMap({ namespace, name: 'one' }),
    (error) => error instanceof ApiException && error.code === 404 && /"one\\?" not found/.test(String(error.body)),
  );
});

test('lists in pages and by label', async () => {
  for (const name of ['p1', 'p2', 'p3']) await core.createNamespacedConfigMap(body(name));
  const selection = { namespace, labelSelector: 'test=js' };
  const first = await core.listNamespacedConfigMap({ ...selection, limit: 2 });
  assert.deepEqual(
    first.items.map(({ metadata }) => metadata?.name),
    ['p1', 'p2'],
  );
  const rest = await core.listNamespacedConfigMap({ ...selection, limit: 2, _continue: first.metadata?._continue });
  assert.deepEqual(
    rest.items.map(({ metadata }) => metadata?.name),
    ['p3'],
  );
});

test('patches as JSON patch, merge patch and strategic merge patch', async () => {
  const ports = [{ name: 'http', port: 80 }];
  await core.createNamespacedService({ namespace, body: { metadata: { name: 'web' }, spec: { ports } } });
  const patch = (change: unknown, strategy: PatchStrategy) =>
    core.patchNamespacedService({ namespace, name: 'web', body: change }, setHeaderOptions('Content-Type', strategy));
  const replace = [{ op: 'replace', path: '/spec/ports/0/port', value: 81 }];
  assert.equal((await patch(replace, PatchStrategy.JsonPatch)).spec?.ports?.[0]?.port, 81);
  const more = { spec: { ports: [{ name: 'admin', port: 90 }] } };
  const merged = await patch(more, PatchStrategy.StrategicMergePatch);
  assert.deepEqual(merged.spec?.ports?.map(({ name }) => name).sort(), ['admin', 'http']);
  assert.equal((await patch(more, PatchStrategy.MergePatch)).spec?.ports?.length, 1);
});

test('an informer sees what comes, changes and goes, and keeps a true copy', async () => {
  const seen: string[] = [];
  const informer = makeInformer(config, `/api/v1/namespaces/${namespace}/configmaps`, () =>
    core.listNamespacedConfigMap({ namespace }),
  );
  informer.on('add', ({ metadata }) => seen.push(`add ${metadata?.name}`));
  informer.on('update', ({ metadata }) => seen.push(`update ${metadata?.name}`));
  informer.on('delete', ({ metadata }) => seen.push(`delete ${metadata?.name}`));
  await informer.start();
  try {
    const made = await core.createNamespacedConfigMap({ namespace, body: map('watched') });
    await core.replaceNamespacedConfigMap({ namespace, name: 'watched', body: { ...made, data: { x: 'y' } } });
    await until('the change in the copy', async () => informer.get('watched', namespace)?.data?.x === 'y');
    await core.deleteNamespacedConfigMap({ namespace, name: 'watched' });
    await until('the deletion', async () => seen.includes('delete watched'));
    const own = seen.filter((entry) => entry.endsWith('watched'));
    assert.deepEqual(own, ['add watched', 'update watched', 'delete watched']);
    assert.equal(informer.get('watched', namespace), undefined);
  } finally {
    await informer.stop();
  }
});

test('objects of any kind by discovery, and server-side apply', async (t) => {
  const objects = KubernetesObjectApi.makeApiClient(config);
  const whole = { ...map('any', { a: '1' }), apiVersion: 'v1', kind: 'ConfigMap' };
  const made = await objects.create<V1ConfigMap>(whole);
  assert.equal(made.metadata?.name, 'any');
  const applied = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'applied', namespace }, data: { b: '2' } };
  const apply = () =>
    objects.patch<V1ConfigMap>(applied, undefined, undefined, 'js-test', true, PatchStrategy.ServerSideApply);
  try {
    await apply();
  } catch (error) {
    if (error instanceof ApiException && error.code === 415) {
      return t.skip('this server has no server-side apply');
    }
    throw error;
  }
  const found = await core.readNamespacedConfigMap({ namespace, name: 'applied' });
  const entry = found.metadata?.managedFields?.find(({ manager }) => manager === 'js-test');
  assert.equal(entry?.operation, 'Apply');
  assert.deepEqual((entry!.fieldsV1 as Record<string, object>)['f:data'], { 'f:b': {} });
});

test('a Deployment gets its Pods, and a Service their addresses', async () => {
  const labels = { app: 'js' };
  const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'registry.example/app:1' }] } };
  const apps = config.makeApiClient(AppsV1Api);
  await apps.createNamespacedDeployment({
    namespace,
    body: { metadata: { name: 'js' }, spec: { replicas: 3, selector: { matchLabels: labels }, template } },
  });
  await core.createNamespacedService({
    namespace,
    body: { metadata: { name: 'js' }, spec: { selector: labels, ports: [{ port: 80 }] } },
  });
  const ready = async () => (await apps.readNamespacedDeployment({ namespace, name: 'js' })).status?.readyReplicas;
  await until('three ready Pods', async () => (await ready()) === 3);
  await until(
    'their addresses',
    async () => (await core.readNamespacedEndpoints({ namespace, name: 'js' })).subsets?.[0]?.addresses?.length === 3,
    10_000,
  );
});
