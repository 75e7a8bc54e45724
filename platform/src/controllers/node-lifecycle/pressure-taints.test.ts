import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Taint } from 'kubernetes-types/core/v1.js';
import type { NodeObject } from '../node-selection.ts';
import { wantedTaints } from './decide.ts';

const gpu: Taint = { key: 'gpu', value: 'yes', effect: 'NoSchedule' };
const disk: Taint = { key: 'node.kubernetes.io/disk-pressure', effect: 'NoSchedule' };
const node = (taints: Taint[], conditions: Record<string, string>): NodeObject =>
  ({
    spec: { taints },
    status: {
      conditions: Object.entries({ Ready: 'True', ...conditions }).map(([type, status]) => ({ type, status })),
    },
  }) as NodeObject;
const wanted = (one: NodeObject) =>
  wantedTaints(one, { othersAreWell: true, nowMs: 0 })?.map(({ key, effect }) => `${key}:${effect}`);

test('a node under pressure gets the taint of its condition, beside those that others gave it', () => {
  assert.deepEqual(wanted(node([gpu], { DiskPressure: 'True', PIDPressure: 'False' })), [
    'gpu:NoSchedule',
    'node.kubernetes.io/disk-pressure:NoSchedule',
  ]);
  assert.deepEqual(wanted(node([], { MemoryPressure: 'True' })), ['node.kubernetes.io/memory-pressure:NoSchedule']);
});

test('it goes with the condition, and nothing is written when all is as it should be', () => {
  assert.deepEqual(wanted(node([disk, gpu], { DiskPressure: 'False' })), ['gpu:NoSchedule']);
  assert.equal(wanted(node([disk, gpu], { DiskPressure: 'True' })), undefined);
  assert.equal(wanted(node([gpu], { DiskPressure: 'False' })), undefined);
});
