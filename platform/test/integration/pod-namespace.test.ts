/** Pods of the RuntimeClass "namespace" through the API: what it publishes and counts, and what a Pod may say about itself, once more. */
import assert from 'node:assert/strict';
import { release } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { resources } from '@sampan/api/client.ts';
import { runtimeClasses } from '@sampan/api/kinds/runtime-class.ts';
import { loadDemoImage } from './support/demo-image.ts';
import { startInstance, type TestInstance } from './support/instance.ts';
import { createPod, deletePod, isReady, shellPod } from './support/pods.ts';

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
      status: { runtimeHandlers: { name: string }[] };
    }[];
    assert.deepEqual(
      node?.status.runtimeHandlers.map(({ name }) => name),
      ['', 'vm', 'namespace'],
    );
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
