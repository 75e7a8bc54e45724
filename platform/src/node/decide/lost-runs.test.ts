import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ContainerStatus } from 'kubernetes-types/core/v1.js';
import { decide } from './decide.ts';
import { lostRuns } from './lost-runs.ts';
import { pod, record, view } from './test-view.ts';

const status = (state: ContainerStatus['state']): ContainerStatus => ({
  name: 'a',
  image: 'i:1',
  imageID: 'sha256:i',
  ready: false,
  restartCount: 4,
  state,
});

test('a run that the runtime forgot and the API remembers as running ended in an unknown way', () => {
  const is = pod({}, { status: { containerStatuses: [status({ running: { startedAt: '2026-01-02T03:00:00Z' } })] } });
  const [lost] = lostRuns(is, []);
  assert.deepEqual([lost?.exitCode, lost?.reason, lost?.attempt], [137, 'ContainerStatusUnknown', 4]);
});

test('so a batch Pod is not run a second time after the host lost its memory', () => {
  const is = pod({ restartPolicy: 'Never' }, { status: { containerStatuses: [status({ running: {} })] } });
  const { actions } = decide(view({ pod: is, sandboxes: [], containers: lostRuns(is, []) }));
  assert.deepEqual(actions, [{ type: 'cleanUp' }]);
});

test('and one that is always restarted goes on counting', () => {
  const is = pod({}, { status: { containerStatuses: [status({ terminated: { exitCode: 1 } })] } });
  const [action] = decide(view({ pod: is, containers: lostRuns(is, []) })).actions;
  assert.ok(action?.type === 'startContainer');
  assert.equal(action.attempt, 5);
});

test('what the runtime knows is believed', () => {
  const is = pod({}, { status: { containerStatuses: [status({ terminated: { exitCode: 1 } })] } });
  assert.deepEqual(lostRuns(is, [record('a')]), []);
});

test('a container that only ever waited has no run', () => {
  const is = pod({}, { status: { containerStatuses: [status({ waiting: { reason: 'ContainerCreating' } })] } });
  assert.deepEqual(lostRuns(is, []), []);
});
