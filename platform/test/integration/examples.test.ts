import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { KubeObject } from '@sampan/api/client.ts';
import { resources } from '@sampan/api/client.ts';
import { parseAllDocuments } from 'yaml';
import { loadDemoImage } from './support/demo-image.ts';
import { startInstance, type TestInstance } from './support/instance.ts';
import { isReady, phaseIs } from './support/pods.ts';
import { until } from './support/wait.ts';

const examples = join(import.meta.dirname, '../../../examples');
const refs: Record<string, (typeof resources)[keyof typeof resources]> = {
  Pod: resources.pods,
  ConfigMap: resources.configmaps,
  Secret: resources.secrets,
};

describe('every example runs as it stands', () => {
  let instance: TestInstance;
  before(async () => {
    instance = await startInstance('examples');
    await loadDemoImage(instance);
  });
  after(() => instance?.stop());

  const apply = async (file: string) => {
    for (const document of parseAllDocuments(readFileSync(join(examples, file), 'utf8'))) {
      const object = document.toJS() as KubeObject;
      await instance.client.create(refs[object.kind!]!, object, { namespace: 'default' });
    }
  };
  const log = async (pod: string, container: string) => (await instance.sampan(['logs', pod, '-c', container])).stdout;
  const exec = async (pod: string, ...command: string[]) =>
    (await instance.sampan(['exec', pod, '--', ...command])).stdout;

  /** What each example promises. */
  const expectations: Record<string, () => Promise<void>> = {
    'hello.yaml': async () => {
      await phaseIs(instance.client, 'hello', 'Succeeded');
      assert.match(
        await log('hello', 'hello'),
        /^Hello from hello, Linux 6\.1\S+, a machine with 1 CPU and \d+ MiB of its own\n$/,
      );
    },
    'web.yaml': async () => {
      const pod = await isReady(instance.client, 'web');
      const page = await fetch(`http://${pod.status?.podIP}/`);
      assert.match(await page.text(), /Hello from a VM of its own/);
    },
    'settings.yaml': async () => {
      const pod = await isReady(instance.client, 'settings');
      await until(
        'its log',
        async () => (await log('settings', 'main')) === `hello from settings at ${pod.status?.podIP}\ncolour = green\n`,
      );
      assert.equal(await exec('settings', 'cat', '/etc/secret/password'), 'correct-horse');
      assert.equal(await exec('settings', 'cat', '/etc/podinfo/labels'), 'app="settings"');
      await instance.client.patch(
        resources.configmaps,
        'settings',
        { data: { 'app.conf': 'colour = blue\n' } },
        { namespace: 'default', type: 'application/merge-patch+json' },
      );
      await until(
        'the file follows the ConfigMap',
        async () => (await exec('settings', 'cat', '/etc/app/app.conf')) === 'colour = blue\n',
      );
    },
    'batch.yaml': async () => {
      await phaseIs(instance.client, 'batch', 'Succeeded');
      assert.equal(await log('batch', 'count'), 'the sum is 500500\n');
    },
    'sidecar.yaml': async () => {
      await phaseIs(instance.client, 'sidecar', 'Succeeded');
      assert.equal(await log('sidecar', 'log-shipper'), 'event 1\nevent 2\nevent 3\n');
    },
  };

  for (const file of globSync('*.yaml', { cwd: examples }).sort()) {
    test(file, async () => {
      assert.ok(expectations[file], `${file} has no expectation in this test`);
      await apply(file);
      await expectations[file]();
    });
  }
});
