import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeClient, ListOptions } from '@sampan/api/client.ts';
import { podWarnings } from './pod-warnings.ts';

const pod = { metadata: { name: 'web', namespace: 'team', uid: 'u-1' } };

test('the warnings about a Pod are asked for by name and uid, and come oldest first', async () => {
  const asked: (ListOptions | undefined)[] = [];
  const items = [
    { reason: 'FailedCreatePodSandBox', message: 'no room', lastTimestamp: '2026-01-02T00:00:00Z' },
    { reason: 'FailedMount', message: 'no such secret', lastTimestamp: '2026-01-01T00:00:00Z' },
  ];
  const client = {
    async list(_: unknown, options?: ListOptions) {
      asked.push(options);
      return { items, resourceVersion: '1' };
    },
  } as unknown as KubeClient;
  assert.deepEqual(await podWarnings(client, pod), ['FailedMount: no such secret', 'FailedCreatePodSandBox: no room']);
  assert.deepEqual(asked, [
    { namespace: 'team', fieldSelector: 'involvedObject.name=web,involvedObject.uid=u-1,type=Warning' },
  ]);
});
