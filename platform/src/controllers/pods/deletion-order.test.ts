import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inDeletionOrder } from './deletion-order.ts';
import type { PodObject } from './pod-facts.ts';

const nowMs = Date.parse('2026-01-02T00:00:00Z');
const ago = (seconds: number) => new Date(nowMs - seconds * 1000).toISOString();

interface Traits {
  node?: string;
  phase?: string;
  readyFor?: number;
  cost?: string;
  restarts?: number;
  age?: number;
}

function pod(
  name: string,
  { node = 'n1', phase = 'Running', readyFor, cost, restarts = 0, age = 100 }: Traits = {},
): PodObject {
  const annotations: Record<string, string> =
    cost === undefined ? {} : { 'controller.kubernetes.io/pod-deletion-cost': cost };
  const ready = { type: 'Ready', status: 'True', lastTransitionTime: ago(readyFor ?? 0) };
  return {
    metadata: { name, uid: name, creationTimestamp: ago(age), annotations },
    spec: { nodeName: node || undefined, containers: [] },
    status: {
      phase,
      conditions: readyFor === undefined ? [] : [ready],
      containerStatuses: [{ name: 'a', restartCount: restarts, ready: false, image: '', imageID: '' }],
    },
  };
}

const order = (pods: PodObject[], related = pods) =>
  inDeletionOrder(pods, { related, nowMs }).map(({ metadata }) => metadata?.name);

test('Pods without a node go before Pending, Pending before Running, not ready before ready', () => {
  const pods = [
    pod('d', { readyFor: 50 }),
    pod('c'),
    pod('b', { phase: 'Pending' }),
    pod('a', { node: '', phase: 'Pending' }),
  ];
  assert.deepEqual(order(pods), ['a', 'b', 'c', 'd']);
});

test('of ready Pods the cheapest go first, and a cost that is no number is none', () => {
  const pods = [
    pod('c', { readyFor: 9, cost: '10' }),
    pod('a', { readyFor: 9, cost: '-5' }),
    pod('b', { readyFor: 9, cost: '+1' }),
  ];
  assert.deepEqual(order(pods), ['a', 'b', 'c']);
});

test('where many of the workload stand on one node, one of them goes', () => {
  const pods = [pod('a', { node: 'n1', readyFor: 9 }), pod('b', { node: 'n2', readyFor: 9 })];
  const others = [pod('x', { node: 'n2' }), pod('y', { node: 'n2', phase: 'Succeeded' })];
  assert.deepEqual(order(pods, [...pods, ...others]), ['b', 'a']);
  assert.deepEqual(order(pods), ['a', 'b']);
});

test('what was ready for a shorter time goes first, but only if by a factor; then more restarts, then the younger', () => {
  assert.deepEqual(order([pod('a', { readyFor: 500 }), pod('b', { readyFor: 10 })]), ['b', 'a']);
  assert.deepEqual(order([pod('b', { readyFor: 300 }), pod('a', { readyFor: 290 })]), ['a', 'b']);
  assert.deepEqual(order([pod('a', { restarts: 1 }), pod('b', { restarts: 4 })]), ['b', 'a']);
  assert.deepEqual(order([pod('a', { age: 9000 }), pod('b', { age: 10 })]), ['b', 'a']);
});
