import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { resources } from '@sampan/api/client.ts';
import { loadDemoImage } from './support/demo-image.ts';
import { startInstance, type TestInstance } from './support/instance.ts';
import { containerStatus, createPod, deletePod, isReady, phaseIs, podWhere, shellPod } from './support/pods.ts';
import { until } from './support/wait.ts';

describe('the node keeps Pods in real machines', () => {
  let instance: TestInstance;
  before(async () => {
    instance = await startInstance('node');
    await loadDemoImage(instance);
  });
  after(() => instance?.stop());

  const log = async (name: string, ...more: string[]) => (await instance.sampan(['logs', name, ...more])).stdout;

  test('http and tcp probes go to the Pod’s own address; a failing one makes it unready, not restarted', async () => {
    const script = 'mkdir /www; echo fine > /www/healthy; httpd -f -p 8080 -h /www; sleep 1000';
    const readinessProbe = {
      httpGet: { path: '/healthy', port: 'web' },
      periodSeconds: 1,
      failureThreshold: 1,
      timeoutSeconds: 10,
    };
    // Patient: a machine that is slow to start its server is no reason to restart it.
    const livenessProbe = { tcpSocket: { port: 8080 }, periodSeconds: 1, failureThreshold: 30, timeoutSeconds: 10 };
    const ports = [{ name: 'web', containerPort: 8080 }];
    await createPod(instance.client, shellPod('probed', script, {}, { readinessProbe, livenessProbe, ports }));
    await isReady(instance.client, 'probed');
    await instance.sampan(['exec', 'probed', '--', 'rm', '/www/healthy']);
    const pod = await podWhere(instance.client, 'probed', 'unready', (one) => !containerStatus(one).ready);
    assert.equal(containerStatus(pod).restartCount, 0);
    assert.ok(containerStatus(pod).state?.running);
    const events = await until('the event', async () => {
      const { items } = await instance.client.list(resources.events, { namespace: 'default' });
      const messages = (items as { message?: string }[]).map(({ message }) => message);
      return messages.includes('Readiness probe failed: HTTP probe failed with statuscode: 404') && messages;
    });
    assert.ok(events);
    await deletePod(instance.client, 'probed');
  });

  test('a changed ConfigMap reaches a running container', async () => {
    const config = { metadata: { name: 'colours' }, data: { colour: 'blue' } };
    await instance.client.create(resources.configmaps, config as object, { namespace: 'default' });
    const script = 'while :; do cat /conf/colour; echo; sleep 0.2; done';
    const volumes = [{ name: 'conf', configMap: { name: 'colours' } }];
    const volumeMounts = [{ name: 'conf', mountPath: '/conf' }];
    await createPod(instance.client, shellPod('reader', script, { volumes } as object, { volumeMounts }));
    await until('blue', async () => (await log('reader')).includes('blue'));
    await instance.client.patch(
      resources.configmaps,
      'colours',
      { data: { colour: 'green' } },
      { namespace: 'default', type: 'application/merge-patch+json' },
    );
    await until('green', async () => (await log('reader', '--tail', '3')).includes('green'));
    await deletePod(instance.client, 'reader');
  });

  test('a Pod that fills its emptyDir beyond the limit is evicted, and says so', async () => {
    const script = 'head -c 20000000 /dev/zero > /space/big; sleep 1000';
    const volumes = [{ name: 'space', emptyDir: { sizeLimit: '10Mi' } }];
    const volumeMounts = [{ name: 'space', mountPath: '/space' }];
    await createPod(instance.client, shellPod('greedy', script, { volumes } as object, { volumeMounts }));
    const pod = await phaseIs(instance.client, 'greedy', 'Failed');
    assert.equal(pod.status?.reason, 'Evicted');
    assert.match(pod.status?.message ?? '', /EmptyDir volume "space" exceeds the limit "10Mi"/);
    await deletePod(instance.client, 'greedy');
  });

  test('a log is put aside when it has grown large, and read without a line lost', { timeout: 400_000 }, async () => {
    const filler = 'x'.repeat(100);
    const script = `awk 'BEGIN { for (i = 1; i <= 150000; i++) { print "line", i, "${filler}"; if (i % 50000 == 0) system("sleep 8") } }'; sleep 1000`;
    const created = await createPod(instance.client, shellPod('wordy', script));
    await until('the last line', async () => (await log('wordy', '--tail', '1')).startsWith('line 150000 '), 300_000);
    const directory = join(instance.home, 'pod-logs', `default_wordy_${created.metadata?.uid}`, 'main');
    await until('a file put aside', async () => readdirSync(directory).length > 1);
    const numbers = (await log('wordy'))
      .split('\n')
      .slice(0, -1)
      .map((line) => Number(line.split(' ')[1]));
    assert.equal(numbers.length, 150_000);
    assert.ok(numbers.every((number, index) => number === index + 1));
    await deletePod(instance.client, 'wordy');
    await until(
      'its log is removed with it',
      async () => !readdirSync(join(instance.home, 'pod-logs')).some((name) => name.includes('wordy')),
    );
  });

  test('sidecars end after the main container, the last one first', async () => {
    const side = (name: string) => ({
      name,
      image: 'localhost/demo:1',
      restartPolicy: 'Always',
      command: ['sh', '-c', `trap "echo ${name} >> /data/ended; exit 0" TERM; while :; do sleep 0.1; done`],
      volumeMounts: [{ name: 'work', mountPath: '/data' }],
      lifecycle:
        name === 'first' ? { preStop: { exec: { command: ['sh', '-c', 'cat /data/ended > /proc/1/fd/1'] } } } : {},
    });
    const spec = { volumes: [{ name: 'work', emptyDir: {} }], initContainers: [side('first'), side('second')] };
    const volumeMounts = [{ name: 'work', mountPath: '/data' }];
    await createPod(
      instance.client,
      shellPod('sides', 'sleep 1; echo main >> /data/ended', { ...spec, terminationGracePeriodSeconds: 20 } as object, {
        volumeMounts,
      }),
    );
    await phaseIs(instance.client, 'sides', 'Succeeded');
    assert.equal(await log('sides', '-c', 'first'), 'main\nsecond\n');
    await deletePod(instance.client, 'sides');
  });
});
