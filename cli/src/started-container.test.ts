import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeClient } from '@sampan/api/client.ts';
import { isBeingMade, type PodToStart, startedContainer } from './started-container.ts';

const spec = { containers: [{ name: 'main' }] };
const pod = (state?: object, more: object = {}): PodToStart => ({
  spec,
  status: { containerStatuses: state ? [{ name: 'main', state }] : [], ...more },
});

test('a container is waited for while it is being made, and not when it runs, has ended or cannot start', () => {
  assert.equal(isBeingMade({ spec }, 'main'), true);
  assert.equal(isBeingMade(pod({ waiting: { reason: 'ContainerCreating' } }), 'main'), true);
  assert.equal(isBeingMade(pod({ running: {} }), 'main'), false);
  assert.equal(isBeingMade(pod({ terminated: {} }), 'main'), false);
  assert.equal(isBeingMade(pod({ waiting: { reason: 'ErrImagePull' } }), 'main'), false);
  const unplaced = { conditions: [{ type: 'PodScheduled', status: 'False' }] };
  assert.equal(isBeingMade(pod(undefined, unplaced), 'main'), false);
  assert.equal(isBeingMade(pod(undefined, { phase: 'Failed' }), 'main'), false, 'it was ended before it began');
  assert.equal(isBeingMade({ spec }, 'other'), false, 'the server says that there is none');
});

test('the container meant is told once it runs', async () => {
  const states = [undefined, { waiting: { reason: 'ContainerCreating' } }, { running: {} }].map((state) => pod(state));
  let asked = 0;
  const client = { get: async () => states[asked++] } as unknown as KubeClient;
  assert.equal(await startedContainer(client, { pod: 'p', namespace: 'default' }), 'main');
  assert.equal(asked, 3);
});
