import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PodObject } from '../pods/pod-facts.ts';
import { decideReplicas, type ReplicaSetObject, replicaSetStatus } from './decide.ts';

const nowMs = Date.parse('2026-01-01T00:01:00Z');

function set(replicas: number, spec: object = {}, status?: ReplicaSetObject['status']): ReplicaSetObject {
  const template = { metadata: { labels: { app: 'web', tier: 'front' } } };
  return { metadata: { name: 'web', generation: 4 }, spec: { replicas, selector: {}, template, ...spec }, status };
}

function pod(
  name: string,
  { phase = 'Running', ready = true, going = false, labels = { app: 'web', tier: 'front' } } = {},
): PodObject {
  const condition = { type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: '2026-01-01T00:00:30Z' };
  return {
    metadata: { name, uid: name, labels, ...(going && { deletionTimestamp: '2026-01-01T00:00:50Z' }) },
    spec: { nodeName: 'n', containers: [] },
    status: { phase, conditions: [condition] },
  };
}

function decide(of: ReplicaSetObject, pods: PodObject[]) {
  const { create, remove } = decideReplicas({ set: of, pods, related: pods, nowMs });
  return [create, ...remove.map(({ metadata }) => metadata?.name)];
}

test('Pods that ended or are on their way out do not count', () => {
  assert.deepEqual(decide(set(3), [pod('a'), pod('b', { phase: 'Failed' }), pod('c', { going: true })]), [2]);
  assert.deepEqual(decide(set(1), [pod('a'), pod('b', { phase: 'Succeeded' })]), [0]);
});

test('too many Pods lose those of least use', () => {
  assert.deepEqual(
    decide(set(1), [pod('a'), pod('b', { ready: false }), pod('c', { phase: 'Pending', ready: false })]),
    [0, 'c', 'b'],
  );
});

test('one look makes at most five hundred', () => {
  assert.deepEqual(decide(set(100_000), []), [500]);
});

test('a set on its way out makes and deletes nothing', () => {
  const going = set(3);
  assert.deepEqual(decide({ ...going, metadata: { ...going.metadata, deletionTimestamp: 'now' } }, []), [0]);
});

test('the status counts, and available is ready for long enough', () => {
  const pods = [
    pod('a'),
    pod('b', { ready: false }),
    pod('c', { labels: { app: 'web', tier: 'back' } }),
    pod('d', { going: true }),
  ];
  assert.deepEqual(replicaSetStatus({ set: set(3), pods, nowMs }, undefined), {
    replicas: 3,
    fullyLabeledReplicas: 2,
    readyReplicas: 2,
    availableReplicas: 2,
    observedGeneration: 4,
  });
  const patient = replicaSetStatus({ set: set(3, { minReadySeconds: 31 }), pods, nowMs }, undefined);
  assert.equal(patient.availableReplicas, undefined);
  const lessPatient = replicaSetStatus({ set: set(3, { minReadySeconds: 30 }), pods, nowMs }, undefined);
  assert.equal(lessPatient.availableReplicas, 2);
});

test('what kept it from making Pods is a condition until it does no longer', () => {
  const failure = { verb: 'create', error: new Error('no quota') } as const;
  const failed = replicaSetStatus({ set: set(1), pods: [], nowMs }, failure);
  assert.deepEqual(failed.conditions, [
    {
      type: 'ReplicaFailure',
      status: 'True',
      reason: 'FailedCreate',
      message: 'no quota',
      lastTransitionTime: '2026-01-01T00:01:00Z',
    },
  ]);
  const again = replicaSetStatus({ set: set(1, {}, failed), pods: [], nowMs: nowMs + 9000 }, failure);
  assert.equal(again.conditions?.[0]?.lastTransitionTime, '2026-01-01T00:01:00Z');
  assert.equal(replicaSetStatus({ set: set(1, {}, failed), pods: [], nowMs }, undefined).conditions, undefined);
});
