import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { resources } from '@sampan/api/client.ts';
import { loadDemoImage } from './support/demo-image.ts';
import { startInstance, type TestInstance, vmmPids } from './support/instance.ts';
import { createPod, deletePod, isGone, isReady, phaseIs, shellPod } from './support/pods.ts';
import { until } from './support/wait.ts';

describe('Pods outlive their server', () => {
  let instance: TestInstance;
  before(async () => {
    instance = await startInstance('kill');
    await loadDemoImage(instance);
  });
  after(() => instance?.stop());

  test('kill -9 under a Pod that counts: it goes on and its log has every line once', async () => {
    await createPod(
      instance.client,
      shellPod(
        'counter',
        'i=0; until [ -e /tmp/enough ]; do echo line $i; i=$((i+1)); [ $((i % 50)) -eq 0 ] && sleep 0.2; done; echo done',
      ),
    );
    await isReady(instance.client, 'counter');
    for (let round = 0; round < 3; round++) {
      await delay(1000);
      const before = vmmPids(instance);
      await instance.kill9();
      assert.deepEqual(vmmPids(instance), before, 'the VMs go on without the server');
      await delay(500);
      await instance.start();
    }
    await instance.sampan(['exec', 'counter', '--', 'touch', '/tmp/enough']);
    const pod = await phaseIs(instance.client, 'counter', 'Succeeded', 90_000);
    assert.equal(pod.status?.containerStatuses?.[0]?.restartCount, 0);
    const lines = (await instance.sampan(['logs', 'counter'])).stdout.trimEnd().split('\n');
    assert.ok(lines.length > 100, `${lines.length} lines`);
    assert.deepEqual(lines, [...Array.from({ length: lines.length - 1 }, (_, i) => `line ${i}`), 'done']);
  });

  test('a Pod that ended while there was no server is told truthfully', async () => {
    await createPod(
      instance.client,
      shellPod('ends-alone', 'until [ -e /tmp/end ]; do sleep 0.1; done; sleep 2; echo bye; exit 5'),
    );
    await isReady(instance.client, 'ends-alone');
    await instance.sampan(['exec', 'ends-alone', '--', 'touch', '/tmp/end']);
    await instance.kill9();
    await delay(3000);
    await instance.start();
    const pod = await phaseIs(instance.client, 'ends-alone', 'Failed');
    assert.equal(pod.status?.containerStatuses?.[0]?.state?.terminated?.exitCode, 5);
    assert.equal((await instance.sampan(['logs', 'ends-alone'])).stdout, 'bye\n');
  });

  test('a VM that died while there was no server is reported, and nothing of it stays', async () => {
    await createPod(instance.client, shellPod('loses-vm', 'sleep 1000'));
    await isReady(instance.client, 'loses-vm');
    await instance.kill9();
    for (const pid of vmmPids(instance)) process.kill(pid, 'SIGKILL');
    await instance.start();
    await phaseIs(instance.client, 'loses-vm', 'Failed');
    await deletePod(instance.client, 'loses-vm');
  });

  test('killed at any moment of starting and deleting, it converges', async () => {
    for (let round = 0; round < 6; round++) {
      const names = [0, 1, 2].map((i) => `churn-${round}-${i}`);
      await Promise.all(names.map((name) => createPod(instance.client, shellPod(name, 'echo hi; sleep 1000'))));
      await delay(120 * round);
      await instance.kill9();
      await instance.start();
      await Promise.all(names.map((name) => isReady(instance.client, name)));
      for (const name of names)
        await instance.client.delete(resources.pods, name, { namespace: 'default', gracePeriodSeconds: 1 });
      await delay(60 * round);
      await instance.kill9();
      await instance.start();
      await Promise.all(names.map((name) => isGone(instance.client, name)));
    }
    await until('no VM is left', async () => vmmPids(instance).length === 0);
  });
});
