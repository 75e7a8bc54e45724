import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import { scaleOf, setReplicas } from '@sampan/api/kinds/scale.ts';
import { startTestApi } from '../../../test/integration/api-test-server.ts';

// biome-ignore lint/suspicious/noExplicitAny: answers of every shape
type Loose = any;

const deployments = resources.deployments;

async function lab() {
  const api = await startTestApi();
  const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'a', image: 'x' }] } };
  const spec = { replicas: 2, selector: { matchLabels: { app: 'web' } }, template };
  await api.client.create(deployments, { metadata: { name: 'web', namespace: 'default' }, spec } as KubeObject);
  const read = (): Promise<Loose> => api.client.get<Loose>(deployments, 'web', 'default', 'scale');
  return { client: api.client, read, [Symbol.asyncDispose]: () => api[Symbol.asyncDispose]() };
}

const merge = { namespace: 'default', type: 'application/merge-patch+json', subresource: 'scale' } as const;

test('a Scale shows number, status and selector, and writes the number alone', async () => {
  await using api = await lab();
  const scale = await api.read();
  assert.deepEqual([scale.kind, scale.apiVersion], ['Scale', 'autoscaling/v1']);
  assert.deepEqual([scale.spec, scale.status], [{ replicas: 2 }, { replicas: 0, selector: 'app=web' }]);
  const changed = {
    ...scale,
    spec: { replicas: 5 },
    status: { replicas: 99 },
    metadata: { ...scale.metadata, labels: { a: 'b' } },
  };
  const answer = await api.client.update<Loose>(deployments, changed, { subresource: 'scale' });
  assert.deepEqual([answer.spec, answer.status.replicas], [{ replicas: 5 }, 0]);
  const deployment = await api.client.get<Loose>(deployments, 'web', 'default');
  assert.deepEqual(
    [deployment.spec.replicas, deployment.metadata.generation, deployment.metadata.labels],
    [5, 2, undefined],
  );
});

test('a Scale that is out of date is a conflict; one without a version is written', async () => {
  await using api = await lab();
  const scale = await api.read();
  await api.client.patch(deployments, 'web', { spec: { replicas: 3 } }, merge);
  const stale = api.client.update(deployments, { ...scale, spec: { replicas: 7 } }, { subresource: 'scale' });
  await assert.rejects(stale, (error) => isReason(error, 'Conflict'));
  const { resourceVersion: _, ...metadata } = scale.metadata;
  await api.client.update(deployments, { ...scale, metadata, spec: { replicas: 7 } }, { subresource: 'scale' });
  assert.equal((await api.read()).spec.replicas, 7);
});

test('patches change it, down to nothing, and nothing that is no number of Pods gets in', async () => {
  await using api = await lab();
  await api.client.patch(deployments, 'web', { spec: { replicas: 0 } }, merge);
  assert.deepEqual((await api.read()).spec, {});
  const json = { ...merge, type: 'application/json-patch+json' } as const;
  await api.client.patch(deployments, 'web', [{ op: 'add', path: '/spec/replicas', value: 4 }], json);
  assert.equal((await api.read()).spec.replicas, 4);
  const negative = api.client.patch(deployments, 'web', { spec: { replicas: -1 } }, merge);
  await assert.rejects(negative, /Scale\.autoscaling "web" is invalid: spec\.replicas: Invalid value: -1/);
  const typo = api.client.patch(deployments, 'web', { spec: { replica: 1 } }, merge);
  await assert.rejects(typo, /unknown field "spec\.replica"/);
});

test('kinds without scale have none', async () => {
  await using api = await lab();
  const scale = api.client.get(resources.configmaps, 'kube-root-ca.crt', 'default', 'scale');
  await assert.rejects(scale, (error) => isReason(error, 'NotFound'));
});

test('paths lead anywhere, and a selector may be a text', () => {
  const paths = { specReplicas: '.spec.size', statusReplicas: '.status.pool.size', labelSelector: '.status.selector' };
  const object: Loose = { metadata: { name: 'x' }, status: { pool: { size: 3 }, selector: 'a in (b,c)' } };
  setReplicas(object, paths, 6);
  const { spec, status } = scaleOf(object, paths);
  assert.deepEqual([spec, status], [{ replicas: 6 }, { replicas: 3, selector: 'a in (b,c)' }]);
});
