import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { resources } from '@sampan/api/client.ts';
import { allKinds } from '@sampan/api/kinds/all.ts';
import type { Node, Taint } from 'kubernetes-types/core/v1.js';
import { until } from '../../test/integration/support/wait.ts';
import { createApiServer } from '../apiserver/api-server.ts';
import { systemUser } from '../apiserver/auth/user.ts';
import { openPki } from '../apiserver/pki/pki.ts';
import { systemClock } from '../base/clock.ts';
import { silentLogger } from '../base/log.ts';
import { createMemoryStore } from '../store/memory/memory-store.ts';
import { SharedInformers } from './informer/shared-informers.ts';
import { NodeTaints, wantedTaints } from './node-taints.ts';

const mine: Taint = { key: 'gpu', value: 'yes', effect: 'NoSchedule' };
const disk: Taint = { key: 'node.kubernetes.io/disk-pressure', effect: 'NoSchedule' };
const node = (taints: Taint[], conditions: Record<string, string>): Node => ({
  spec: { taints },
  status: { conditions: Object.entries(conditions).map(([type, status]) => ({ type, status })) },
});

test('a node under pressure gets the taint of its condition, beside those that others gave it', () => {
  assert.deepEqual(wantedTaints(node([mine], { Ready: 'True', DiskPressure: 'True', PIDPressure: 'False' })), [
    mine,
    disk,
  ]);
  assert.deepEqual(wantedTaints(node([], { MemoryPressure: 'True' })), [
    { key: 'node.kubernetes.io/memory-pressure', effect: 'NoSchedule' },
  ]);
});

test('it goes with the condition, and nothing is written when all is as it should be', () => {
  assert.deepEqual(wantedTaints(node([disk, mine], { DiskPressure: 'False' })), [mine]);
  assert.equal(wantedTaints(node([disk, mine], { DiskPressure: 'True' })), undefined);
  assert.equal(wantedTaints(node([mine], { DiskPressure: 'False', Ready: 'True' })), undefined);
  assert.equal(wantedTaints({}), undefined);
});

test('a taint of the same key with another effect is not ours', () => {
  const evicting: Taint = { ...disk, effect: 'NoExecute' };
  assert.deepEqual(wantedTaints(node([evicting], { DiskPressure: 'True' })), [evicting, disk]);
});

test('over the API: a taint comes with the condition and goes with it', async () => {
  const clock = systemClock;
  const directory = await mkdtemp(join(tmpdir(), 'sampan-node-taints-'));
  const api = await createApiServer({
    store: createMemoryStore(),
    kinds: allKinds,
    log: silentLogger,
    clock,
    gateway: () => undefined,
    pki: await openPki({ directory, addresses: [], names: [] }),
    version: { version: '0.0.0' },
  });
  const client = api.inProcess(systemUser('system:admin'));
  const parts = { client, log: silentLogger, clock };
  const informers = new SharedInformers(parts);
  const controller = new NodeTaints({ ...parts, informers });
  try {
    await controller.start();
    await client.create<Node>(resources.nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' }, spec: {} });
    const report = (status: string) =>
      client.patch<Node>(
        resources.nodes,
        'n',
        { status: { conditions: [{ type: 'DiskPressure', status }] } },
        { type: 'application/strategic-merge-patch+json', subresource: 'status' },
      );
    const taints = async () => (await client.get<Node>(resources.nodes, 'n')).spec?.taints?.map(({ key }) => key) ?? [];
    await report('True');
    await until('the taint', async () => (await taints()).includes('node.kubernetes.io/disk-pressure'));
    await report('False');
    await until('its end', async () => (await taints()).length === 0);
  } finally {
    await controller.close();
    await informers.close();
    await api.close();
    await rm(directory, { recursive: true });
  }
});
