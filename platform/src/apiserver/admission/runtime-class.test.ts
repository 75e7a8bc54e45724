import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import { runtimeClasses } from '@sampan/api/kinds/runtime-class.ts';
import { startTestApi, type TestApi, type TestPod, testPod } from '../../../test/integration/api-test-server.ts';

let api: TestApi;
before(async () => {
  api = await startTestApi();
  const make = (name: string, more: object) =>
    api.client.create(runtimeClasses, { metadata: { name }, handler: 'vm', ...more } as KubeObject);
  await make('plain', {});
  await make('costly', {
    overhead: { podFixed: { cpu: '100m', memory: '64Mi' } },
    scheduling: { nodeSelector: { disk: 'fast' }, tolerations: [{ key: 'gpu', operator: 'Exists' }] },
  });
});
after(() => api[Symbol.asyncDispose]());

const create = (name: string, spec: object) => {
  const pod = testPod(name);
  Object.assign(pod.spec, spec);
  return api.client.create<TestPod>(resources.pods, pod);
};
const rejected = (words: RegExp) => (error: Error) => isReason(error, 'Forbidden') && words.test(error.message);

test('a Pod whose RuntimeClass is not there is rejected', async () => {
  await assert.rejects(
    create('lost', { runtimeClassName: 'gone' }),
    rejected(/pod rejected: RuntimeClass "gone" not found/),
  );
  assert.equal((await create('found', { runtimeClassName: 'plain' })).spec.overhead, undefined);
});

test('a Pod gets the overhead of its RuntimeClass, and may name no other', async () => {
  const wanted = { cpu: '100m', memory: '64Mi' };
  assert.deepEqual((await create('costs', { runtimeClassName: 'costly' })).spec.overhead, wanted);
  const same = await create('same', { runtimeClassName: 'costly', overhead: { cpu: '0.1', memory: '64Mi' } });
  assert.deepEqual(same.spec.overhead, wanted);
  const other = { runtimeClassName: 'costly', overhead: { cpu: '1m', memory: '64Mi' } };
  await assert.rejects(create('other', other), rejected(/doesn't match RuntimeClass's defined Overhead/));
  for (const runtimeClassName of ['plain', undefined])
    await assert.rejects(
      create('own', { runtimeClassName, overhead: wanted }),
      rejected(/Overhead set without corresponding RuntimeClass/),
    );
});

test('a Pod runs where its RuntimeClass does', async () => {
  const { spec } = await create('there', { runtimeClassName: 'costly', nodeSelector: { zone: 'a' } });
  assert.deepEqual(spec.nodeSelector, { zone: 'a', disk: 'fast' });
  assert.ok((spec.tolerations as { key: string }[]).some(({ key }) => key === 'gpu'));
  const elsewhere = { runtimeClassName: 'costly', nodeSelector: { disk: 'slow' } };
  await assert.rejects(create('elsewhere', elsewhere), rejected(/nodeSelector\[disk\] = fast/));
});
