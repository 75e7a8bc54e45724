/** A node that is told to want more room than there is: what the API, the scheduler and whoever asks why say of it; and that it is over once it is told less. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import type { Node } from 'kubernetes-types/core/v1.js';
import { loadDemoImage } from './support/demo-image.ts';
import { startInstance, type TestInstance } from './support/instance.ts';
import { createPod, phaseIs, podWhere, shellPod } from './support/pods.ts';
import { until } from './support/wait.ts';

let instance: TestInstance;
before(async () => {
  instance = await startInstance('pressure', { SAMPAN_EVICTION_HARD: 'nodefs.available<99.99%' });
  await loadDemoImage(instance);
});
after(() => instance?.stop());

const taint = 'node.kubernetes.io/disk-pressure';
const node = async () => (await instance.client.list<Node & KubeObject>(resources.nodes)).items[0]!;
const isTainted = async () => (await node()).spec?.taints?.some(({ key }) => key === taint) ?? false;

test('a node short of disk has the condition and the taint, and Pods wait and say why', async () => {
  await until('the taint', isTainted);
  const condition = (await node()).status?.conditions?.find(({ type }) => type === 'DiskPressure');
  assert.equal(condition?.status, 'True');
  assert.match(condition?.message ?? '', /% of the disk that holds .* is free; at least 99\.99% is wanted/);
  await createPod(instance.client, shellPod('waits', 'echo ran'));
  await podWhere(instance.client, 'waits', 'told why it waits', ({ status }) =>
    Boolean(status?.conditions?.some(({ message }) => message?.includes(`untolerated taint {${taint}: }`))),
  );
  const described = await instance.kubectl(['describe', 'node']);
  assert.match(described.stdout, /Warning +EvictionThresholdMet .*Attempting to reclaim ephemeral-storage/);
});

test('and once it is told to want less, they run', async () => {
  await instance.kill9();
  instance.env.SAMPAN_EVICTION_HARD = 'none';
  await instance.start();
  await phaseIs(instance.client, 'waits', 'Succeeded');
  assert.equal(await isTainted(), false);
});
