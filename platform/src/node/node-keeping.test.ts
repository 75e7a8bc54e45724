import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { resources } from '@sampan/api/client.ts';
import type { Lease } from 'kubernetes-types/coordination/v1.js';
import type { Node, Pod } from 'kubernetes-types/core/v1.js';
import { createNodeLab } from '../../test/fixtures/node/node-lab.ts';

const phase = (wanted: string) => (pod: Pod | undefined) => pod?.status?.phase === wanted;
const condition = (pod: Pod | undefined, type: string) => pod?.status?.conditions?.find((one) => one.type === type);

describe('the Node object', () => {
  test('says what the node has and on what machines run', async () => {
    await using lab = await createNodeLab();
    const node = await lab.client.get<Node>(resources.nodes, 'node-1');
    assert.equal(node.status?.allocatable?.cpu, '4');
    assert.equal(node.status?.allocatable?.memory, '8Gi');
    assert.equal(node.status?.conditions?.find(({ type }) => type === 'Ready')?.status, 'True');
    assert.equal(node.metadata?.annotations?.['sampan.dev/acceleration'], 'none: there are no machines');
    assert.equal(node.metadata?.labels?.['kubernetes.io/hostname'], 'node-1');
    assert.deepEqual(
      node.status?.addresses?.map(({ address }) => address),
      ['192.0.2.1', 'node-1'],
    );
    assert.equal(node.status?.nodeInfo?.containerRuntimeVersion, 'sampan://0.0.0');
  });

  test('is kept alive by its lease, and comes again when it was deleted', async () => {
    await using lab = await createNodeLab();
    const renewed = async () => {
      const lease = await lab.client.get<Lease>(resources.leases, 'node-1', 'kube-node-lease');
      return Date.parse(String(lease.spec?.renewTime));
    };
    const before = await renewed();
    await lab.settle(11_000);
    assert.ok((await renewed()) > before);
    await lab.client.delete(resources.nodes, 'node-1');
    await lab.wait(
      'the node is there again',
      async () => {
        const { items } = await lab.client.list(resources.nodes);
        return items.length === 1;
      },
      6 * 60_000,
    );
  });

  test('keeps labels that others gave it over a restart', async () => {
    await using lab = await createNodeLab();
    const merge = { type: 'application/merge-patch+json' } as const;
    await lab.client.patch(resources.nodes, 'node-1', { metadata: { labels: { mine: 'yes' } } }, merge);
    await lab.restart();
    const node = await lab.client.get<Node>(resources.nodes, 'node-1');
    assert.equal(node.metadata?.labels?.mine, 'yes');
  });
});

describe('what a node does not have', () => {
  test('a Pod that does not fit is refused for good, and nothing of it is made', async () => {
    await using lab = await createNodeLab();
    await lab.run('large', { containers: [{ name: 'web', image: 'web:1', resources: { requests: { cpu: '5' } } }] });
    const pod = await lab.until('large', phase('Failed'));
    assert.equal(pod?.status?.reason, 'OutOfcpu');
    assert.match(pod?.status?.message ?? '', /requested: 5000, used: 0, capacity: 4000/);
    assert.deepEqual(lab.runtime.calls, []);
    assert.ok((await lab.events('large')).some(({ reason }) => reason === 'OutOfcpu'));
  });

  test('a Pod that says no size is told what it got', async () => {
    await using lab = await createNodeLab();
    await lab.run('small');
    const pod = await lab.until('small', phase('Running'));
    assert.match(condition(pod, 'sampan.dev/DefaultSize')?.message ?? '', /0.5 core and 512 MiB/);
    assert.ok((await lab.events('small')).some(({ reason }) => reason === 'DefaultSize'));
    await lab.run('said', {
      containers: [{ name: 'web', image: 'web:1', resources: { limits: { cpu: '1', memory: '64Mi' } } }],
    });
    assert.equal(condition(await lab.until('said', phase('Running')), 'sampan.dev/DefaultSize'), undefined);
  });

  test('a Pod that fills its emptyDir beyond the limit is evicted', async () => {
    await using lab = await createNodeLab();
    const { metadata } = await lab.run('greedy', { volumes: [{ name: 'space', emptyDir: { sizeLimit: '1Mi' } }] });
    await lab.until('greedy', phase('Running'));
    const labels = { 'io.kubernetes.pod.uid': metadata?.uid ?? '' };
    const use = (bytes: number) => [
      { attributes: { labels, annotations: { 'sampan.dev/volume-used.space': String(bytes) } }, linux: {} },
    ];
    lab.runtime.stats = use(1024 ** 2);
    await lab.settle(15_000);
    assert.equal((await lab.pod('greedy'))?.status?.phase, 'Running');
    lab.runtime.stats = use(1024 ** 2 + 1);
    const pod = await lab.until('greedy', phase('Failed'), 20_000);
    assert.equal(pod?.status?.reason, 'Evicted');
    assert.equal(pod?.status?.message, 'Usage of EmptyDir volume "space" exceeds the limit "1Mi". ');
    assert.equal(condition(pod, 'DisruptionTarget')?.reason, 'TerminationByKubelet');
    await lab.wait('its machine is let go', () => lab.runtime.running().length === 0);
    await lab.restart();
    await lab.settle(3000);
    assert.equal((await lab.pod('greedy'))?.status?.reason, 'Evicted');
  });
});

describe('what a server before left', () => {
  test('a Pod whose object went while no server ran is brought to an end', async () => {
    await using lab = await createNodeLab();
    await lab.run('left');
    await lab.until('left', phase('Running'));
    await lab.stop();
    await lab.client.delete(resources.pods, 'left', { namespace: 'default', gracePeriodSeconds: 0 });
    await lab.restart();
    await lab.wait('nothing is left', () => lab.runtime.sandboxes.size === 0);
    await lab.wait('no files are left', () => readdirSync(join(lab.home, 'pods')).length === 0);
  });

  test('files of a Pod nobody knows are removed, and nothing else', async () => {
    await using lab = await createNodeLab();
    const uid = '01234567-89ab-cdef-0123-456789abcdef';
    const stray = [join(lab.home, 'pods', uid), join(lab.home, 'pod-logs', `n_p_${uid}`)];
    for (const path of [...stray, join(lab.home, 'pods', 'precious')]) mkdirSync(path, { recursive: true });
    await lab.restart();
    assert.deepEqual(
      stray.map((path) => existsSync(path)),
      [false, false],
    );
    assert.ok(existsSync(join(lab.home, 'pods', 'precious')));
  });

  test('a running Pod notices nothing', async () => {
    await using lab = await createNodeLab();
    await lab.run('served');
    const before = await lab.until('served', phase('Running'));
    const calls = lab.runtime.calls.length;
    await lab.restart();
    await lab.settle(30_000);
    assert.equal(lab.runtime.calls.length, calls);
    const after = await lab.pod('served');
    assert.deepEqual(after?.status, before?.status);
    assert.equal(after?.metadata?.resourceVersion, before?.metadata?.resourceVersion, 'not even a write');
  });

  test('its token goes on being renewed', async () => {
    await using lab = await createNodeLab();
    const sources = [{ serviceAccountToken: { path: 'token', expirationSeconds: 600 } }];
    const { metadata } = await lab.run('served', { volumes: [{ name: 'who', projected: { sources } }] });
    await lab.until('served', phase('Running'));
    const file = join(lab.home, 'pods', metadata?.uid ?? '', 'volumes/kubernetes.io~projected/who/token');
    const first = readFileSync(file, 'utf8');
    await lab.restart();
    await lab.wait('tokens are not kept over a restart', () => readFileSync(file, 'utf8') !== first);
    const token = readFileSync(file, 'utf8');
    await lab.settle(400_000);
    assert.equal(readFileSync(file, 'utf8'), token);
    await lab.wait('it is renewed at 80% of its life', () => readFileSync(file, 'utf8') !== token, 100_000);
  });
});

describe('what others do to a Pod', () => {
  test('a status that somebody else wrote is put right', async () => {
    await using lab = await createNodeLab();
    await lab.run('served');
    await lab.until('served', phase('Running'));
    await lab.client.patch(
      resources.pods,
      'served',
      { status: { phase: 'Pending', podIP: '1.2.3.4', podIPs: [{ ip: '1.2.3.4' }] } },
      { namespace: 'default', type: 'application/merge-patch+json', subresource: 'status' },
    );
    const pod = await lab.until('served', phase('Running'));
    assert.deepEqual([pod?.status?.podIP, pod?.status?.podIPs], ['10.0.0.1', [{ ip: '10.0.0.1' }]]);
  });

  test('conditions of others stay, and readiness gates follow them', async () => {
    await using lab = await createNodeLab();
    await lab.run('gated', { readinessGates: [{ conditionType: 'example.org/lb' }] });
    await lab.until('gated', phase('Running'));
    assert.equal(condition(await lab.pod('gated'), 'Ready')?.reason, 'ReadinessGatesNotReady');
    await lab.client.patch(
      resources.pods,
      'gated',
      { status: { conditions: [{ type: 'example.org/lb', status: 'True' }] } },
      { namespace: 'default', type: 'application/strategic-merge-patch+json', subresource: 'status' },
    );
    const pod = await lab.until('gated', (one) => condition(one, 'Ready')?.status === 'True');
    assert.equal(condition(pod, 'example.org/lb')?.status, 'True');
  });

  test('another image restarts that container and no other', async () => {
    await using lab = await createNodeLab({ images: ['web:1', 'web:2'] });
    await lab.run('served', {
      containers: [
        { name: 'web', image: 'web:1' },
        { name: 'other', image: 'web:1' },
      ],
    });
    await lab.until('served', phase('Running'));
    await lab.client.patch(
      resources.pods,
      'served',
      { spec: { containers: [{ name: 'web', image: 'web:2' }] } },
      { namespace: 'default', type: 'application/strategic-merge-patch+json' },
    );
    const pod = await lab.until(
      'served',
      (one) => lab.status(one).image === 'web:2' && !!lab.status(one).state?.running,
    );
    assert.deepEqual([lab.status(pod).restartCount, lab.status(pod, 'other').restartCount], [1, 0]);
  });
});
