/** metrics.k8s.io over TLS, and `kubectl top` of every kubectl of this machine. The node is a fake that tells figures. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import { createMeasuredNode } from '../fixtures/measured-node.ts';
import { type ServedApi, serveTestApi } from './api-ask.ts';
import { testPod } from './api-test-server.ts';
import { findKubectls, runKubectl } from './kubectl-server.ts';

const kubectls = findKubectls();
if (kubectls.length === 0) {
  test('kubectl', (t) => t.skip('no kubectl 1.27 to 1.33 on this machine; set SAMPAN_KUBECTLS=/path/kubectl.1.33:...'));
}

const root = '/apis/metrics.k8s.io/v1beta1';
const measured = createMeasuredNode();
let running: ServedApi;
let ask: ServedApi['ask'];
before(async () => {
  running = await serveTestApi({ gateway: () => measured.gateway });
  ({ ask } = running);
  const { client } = running.api;
  const status = { capacity: { cpu: '4', memory: '1Gi' }, allocatable: { cpu: '4', memory: '1Gi' } };
  const lab = await client.create(resources.nodes, { metadata: { name: 'lab' } });
  await client.update(resources.nodes, { ...lab, status } as KubeObject, { subresource: 'status' });
  for (const [name, containers] of Object.entries(figures)) {
    const { metadata } = await client.create(resources.pods, testPod(name, { labels: { app: name } }));
    measured.pods.push({ pod: { namespace: 'default', name, uid: metadata?.uid ?? '' }, containers });
  }
});
after(() => running[Symbol.asyncDispose]());

const mi = 1024 * 1024;
const figures = {
  web: [
    { name: 'main', nanoCores: 120_000_000, bytes: 50 * mi },
    { name: 'side', nanoCores: 30_000_000, bytes: 14 * mi },
  ],
  db: [{ name: 'main', nanoCores: 800_000_000, bytes: 192 * mi }],
};

describe('metrics.k8s.io', () => {
  test('is found by every form of discovery', async () => {
    const groups = (await ask('/apis')).json.groups as { name: string }[];
    assert.ok(groups.some(({ name }) => name === 'metrics.k8s.io'));
    const { resources: listed } = (await ask(root)).json;
    assert.deepEqual(listed, [
      { name: 'nodes', singularName: '', namespaced: false, kind: 'NodeMetrics', verbs: ['get', 'list'] },
      { name: 'pods', singularName: '', namespaced: true, kind: 'PodMetrics', verbs: ['get', 'list'] },
    ]);
    const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
    const aggregated = (await ask('/apis', { headers: { accept } })).json.items as {
      metadata: { name: string };
      versions: { version: string; resources: { resource: string; scope: string }[] }[];
    }[];
    const group = aggregated.find(({ metadata }) => metadata.name === 'metrics.k8s.io');
    assert.deepEqual(
      group?.versions[0]?.resources.map(({ resource, scope }) => [resource, scope]),
      [
        ['nodes', 'Cluster'],
        ['pods', 'Namespaced'],
      ],
    );
  });

  test('is read, not written and not watched', async () => {
    const web = await ask(`${root}/namespaces/default/pods/web`);
    assert.deepEqual([web.status, web.json.kind, web.json.containers.length], [200, 'PodMetrics', 2]);
    const list = (await ask(`${root}/pods?labelSelector=app%3Ddb&limit=1`)).json;
    assert.deepEqual([list.kind, list.apiVersion, list.items.length], ['PodMetricsList', 'metrics.k8s.io/v1beta1', 1]);
    const codes = [
      await ask(`${root}/pods?watch=true`),
      await ask(`${root}/namespaces/default/pods/web`, { method: 'DELETE' }),
      await ask(`${root}/namespaces/default/pods`, { method: 'POST', body: '{}' }),
      await ask(`${root}/pods/web`),
      await ask(`${root}/namespaces/default/pods/web/status`),
      await ask(`${root}/namespaces/default/nodes`),
      await ask(`${root}/pods?continue=abc`),
    ].map(({ status }) => status);
    assert.deepEqual(codes, [405, 405, 405, 404, 404, 404, 400]);
  });

  test('refuses who may not read it', async () => {
    const { status, json } = await ask(`${root}/nodes`, { headers: { 'impersonate-user': 'jane' } });
    assert.deepEqual([status, json.reason], [403, 'Forbidden']);
  });
});

for (const kubectl of kubectls) {
  describe(`kubectl ${kubectl.version}`, () => {
    /** Lines of cells. */
    async function rows(...args: string[]): Promise<string[][]> {
      const { kubeconfig } = running.served;
      const { code, stdout, stderr } = await runKubectl(kubectl, args, { kubeconfig, home: running.api.directory });
      assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stderr}`);
      return stdout
        .trim()
        .split('\n')
        .map((line) => line.trim().split(/ {2,}/));
    }

    test('top pod: the sum of its containers, sorted and selected', async () => {
      const head = ['NAME', 'CPU(cores)', 'MEMORY(bytes)'];
      const web = ['web', '150m', '64Mi'];
      const db = ['db', '800m', '192Mi'];
      assert.deepEqual(await rows('top', 'pod'), [head, db, web]);
      assert.deepEqual(await rows('top', 'pod', '--sort-by=memory', '--no-headers'), [db, web]);
      assert.deepEqual(await rows('top', 'pod', 'web', '--no-headers'), [web]);
      assert.deepEqual(await rows('top', 'pod', '-l', 'app=web', '--no-headers'), [web]);
      assert.deepEqual(await rows('top', 'pod', '-A', '--no-headers'), [
        ['default', ...db],
        ['default', ...web],
      ]);
    });

    test('top pod --containers: each of them', async () => {
      assert.deepEqual(await rows('top', 'pod', 'web', '--containers', '--no-headers'), [
        ['web', 'main', '120m', '50Mi'],
        ['web', 'side', '30m', '14Mi'],
      ]);
    });

    test('top node: with the share of what it may give', async () => {
      assert.deepEqual(await rows('top', 'node', '--no-headers'), [['lab', '950m', '23%', '256Mi', '25%']]);
    });

    test('get podmetrics: a table of its own', async () => {
      const [head, ...shown] = await rows('get', 'podmetrics');
      assert.deepEqual(head, ['NAME', 'CPU', 'MEMORY', 'WINDOW']);
      assert.deepEqual(
        shown.map((cells) => cells.slice(0, 3)),
        [
          ['db', '800m', '192Mi'],
          ['web', '150m', '64Mi'],
        ],
      );
    });
  });
}
