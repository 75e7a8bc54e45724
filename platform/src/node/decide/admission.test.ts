import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from 'kubernetes-types/core/v1.js';
import { refusalOf } from './admission.ts';

const room = { cpuMillicores: 2000, memoryBytes: 1024 ** 3, ephemeralStorageBytes: 1024 ** 3, pods: 3 };
const pod = (requests?: Record<string, string>, phase = 'Running'): Pod => ({
  spec: { containers: [{ name: 'c', ...(requests ? { resources: { requests } } : {}) }] },
  status: { phase },
});
const small = pod({ cpu: '100m', memory: '10Mi' });

test('a Pod that fits is not refused', () => {
  assert.equal(refusalOf(small, [small, small], room), undefined);
  assert.equal(refusalOf(pod({ cpu: '2', memory: '1Gi' }), [], room), undefined);
});

test('a Pod that asks for more than is left is refused by the name of what is missing', () => {
  assert.deepEqual(refusalOf(pod({ cpu: '1950m', memory: '1Mi' }), [small], room), {
    reason: 'OutOfcpu',
    message: "Pod was rejected: Node didn't have enough resource: cpu, requested: 1950, used: 100, capacity: 2000",
  });
  assert.equal(refusalOf(pod({ cpu: '1', memory: '2Gi' }), [], room)?.reason, 'OutOfmemory');
  assert.equal(
    refusalOf(pod({ cpu: '1', memory: '1Mi', 'ephemeral-storage': '2Gi' }), [], room)?.reason,
    'OutOfephemeral-storage',
  );
  assert.equal(refusalOf(small, [small, small, small], room)?.reason, 'OutOfpods');
});

test('Pods that have ended take no room', () => {
  assert.equal(
    refusalOf(pod({ cpu: '2', memory: '1Mi' }), [pod({ cpu: '2', memory: '1Gi' }, 'Succeeded')], room),
    undefined,
  );
});

test('a Pod that says nothing counts with what it gets', () => {
  assert.equal(
    refusalOf(pod(), [pod(), pod()], room)?.reason,
    'OutOfmemory',
    'three times 512 MiB are more than 1 GiB',
  );
});

test('a Pod whose host port another has is refused for it', () => {
  const ports = [{ containerPort: 80, hostPort: 8080 }];
  const one: Pod = { spec: { containers: [{ name: 'c', ports, resources: { requests: { memory: '1Mi' } } }] } };
  assert.equal(refusalOf(one, [one], room)?.reason, 'NodePorts');
  assert.equal(refusalOf(one, [{ ...one, status: { phase: 'Succeeded' } }], room), undefined);
});
