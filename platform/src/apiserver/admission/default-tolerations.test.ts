import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resources } from '@sampan/api/client.ts';
import { startTestApi, type TestPod, testPod } from '../../../test/integration/api-test-server.ts';

test('a client that applies its own tolerations again does not take the default ones away', async () => {
  await using api = await startTestApi();
  const own = [{ key: 'gpu', operator: 'Exists' }];
  const pod = testPod('tolerant');
  pod.spec.tolerations = own;
  const made = await api.client.create<TestPod>(resources.pods, pod);
  assert.equal((made.spec.tolerations as object[]).length, 3);

  const patched = await api.client.patch<TestPod>(
    resources.pods,
    'tolerant',
    { spec: { tolerations: own } },
    {
      namespace: 'default',
      type: 'application/strategic-merge-patch+json',
    },
  );
  assert.deepEqual(patched.spec.tolerations, made.spec.tolerations);
});
