/** Pods of the RuntimeClass "namespace" through the API: what it publishes and counts, and what a Pod may say about itself, once more. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { resources } from '@sampan/api/client.ts';
import { runtimeClasses } from '@sampan/api/kinds/runtime-class.ts';
import { loadDemoImage } from './support/demo-image.ts';
import { startInstance, type TestInstance } from './support/instance.ts';
import { createPod, deletePod, isReady, podWhere, shellPod } from './support/pods.ts';

process.env.SAMPAN_TEST_HANDLER = 'namespace';
await import('./pod-semantics.test.ts');

describe('the RuntimeClass namespace', () => {
  let instance: TestInstance;
  before(async () => {
    instance = await startInstance('class');
    await loadDemoImage(instance);
  });
  after(() => instance?.stop());

  test('both handlers have a class with an overhead, and the Node tells that it offers them', async () => {
    const { items } = await instance.client.list(runtimeClasses);
    const classes = items as unknown as { handler: string; overhead?: { podFixed?: { memory?: string } } }[];
    assert.deepEqual(
      classes.map(({ handler, overhead }) => [handler, overhead?.podFixed?.memory]),
      [
        ['namespace', '8Mi'],
        ['vm', '128Mi'],
      ],
    );
    const [node] = (await instance.client.list(resources.nodes)).items as unknown as {
      status: { runtimeHandlers: { name: string; features?: object }[]; features?: object };
    }[];
    for (const { name, features } of node!.status.runtimeHandlers)
      assert.deepEqual(Object.keys(features ?? {}).sort(), ['recursiveReadOnlyMounts', 'userNamespaces'], name);
    assert.deepEqual(Object.keys(node!.status.features ?? {}), ['supplementalGroupsPolicy']);
    assert.deepEqual(
      node?.status.runtimeHandlers.map(({ name }) => name),
      ['', 'vm', 'namespace'],
    );
  });

  const makeClass = (name: string, more: object) =>
    instance.client.create(runtimeClasses, { metadata: { name }, handler: 'namespace', ...more } as never);
  const pendingBecause = (name: string, words: RegExp) =>
    podWhere(instance.client, name, `waits: ${words}`, ({ status }) =>
      words.test(status?.conditions?.find(({ type }) => type === 'PodScheduled')?.message ?? ''),
    );

  test('the scheduler counts the overhead of a class, and the control group of its machine has room for it', async () => {
    await makeClass('huge', { overhead: { podFixed: { memory: '2000Gi' } } });
    await createPod(instance.client, shellPod('huge', 'true', { runtimeClassName: 'huge' }));
    await pendingBecause('huge', /Insufficient memory/);
    await makeClass('roomy', { overhead: { podFixed: { memory: '100Mi' } } });
    await createPod(instance.client, shellPod('roomy', 'exec sleep 1000', { runtimeClassName: 'roomy' }));
    await isReady(instance.client, 'roomy');
    // 64 Mi of the container and 100 of the class, in steps of 32.
    assert.deepEqual(machineLimitsMib(instance), [192]);
    await Promise.all(['huge', 'roomy'].map((name) => deletePod(instance.client, name)));
  });

  test('a Pod waits for a node that its class selects, and goes where the class tolerates the taint', async () => {
    const toleration = { key: 'sampan.test/special', operator: 'Exists', effect: 'NoSchedule' };
    await makeClass('special', { scheduling: { nodeSelector: { special: 'yes' }, tolerations: [toleration] } });
    const { name } = (await instance.client.list(resources.nodes)).items[0]!.metadata!;
    const patchNode = (patch: object) =>
      instance.client.patch(resources.nodes, name!, patch, { type: 'application/merge-patch+json' });
    await patchNode({ spec: { taints: [{ key: 'sampan.test/special', effect: 'NoSchedule' }] } });
    await createPod(instance.client, shellPod('plain', 'exec sleep 1000'));
    await pendingBecause('plain', /untolerated taint \{sampan\.test\/special/);
    await createPod(instance.client, shellPod('special', 'exec sleep 1000', { runtimeClassName: 'special' }));
    await pendingBecause('special', /didn't match Pod's node affinity\/selector/);
    await patchNode({ metadata: { labels: { special: 'yes' } } });
    await isReady(instance.client, 'special');
    await patchNode({ spec: { taints: [] }, metadata: { labels: { special: null } } });
    await isReady(instance.client, 'plain');
    await Promise.all(['plain', 'special'].map((one) => deletePod(instance.client, one)));
  });

  test('a Pod gets the overhead of its class, the kernel of the host and, with hostNetwork, its address', async () => {
    await createPod(instance.client, shellPod('plain', 'uname -r; exec sleep 1000'));
    const plain = await isReady(instance.client, 'plain');
    assert.deepEqual(plain.spec?.overhead, { memory: '8Mi' });
    assert.match((await instance.sampan(['logs', 'plain'])).stdout, new RegExp(release().replaceAll('.', '\\.')));
    await createPod(instance.client, shellPod('host', 'ls /sys/class/net; exec sleep 1000', { hostNetwork: true }));
    const host = await isReady(instance.client, 'host');
    assert.equal(host.status?.podIP, host.status?.hostIP);
    assert.match((await instance.sampan(['logs', 'host'])).stdout, /^sam-/m);
    await Promise.all(['plain', 'host'].map((name) => deletePod(instance.client, name)));
  });
});

/** Memory limits of the control groups of this instance's machines, MiB. */
function machineLimitsMib({ tag }: TestInstance): number[] {
  const files = [
    ...globSync(`/sys/fs/cgroup/memory/sampan-${tag}/*/memory.limit_in_bytes`),
    ...globSync(`/sys/fs/cgroup/sampan-${tag}/*/memory.max`),
  ];
  // One machine is kept in stock.
  const ofPods = files.filter((file) => !file.includes('/parked-'));
  return ofPods.map((file) => Number(readFileSync(file, 'utf8')) / 2 ** 20).filter((limit) => limit < 2 ** 40);
}
