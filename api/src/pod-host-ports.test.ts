import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from 'kubernetes-types/core/v1.js';
import { hostPortsCollide } from './pod-host-ports.ts';

const pod = (hostPort?: number, more: object = {}): Pod => ({
  spec: { containers: [{ name: 'c', ports: [{ containerPort: 80, ...(hostPort ? { hostPort } : {}), ...more }] }] },
});

test('Pods collide over the same port, protocol and address, and over all addresses', () => {
  const table: [Pod, Pod, boolean][] = [
    [pod(80), pod(80), true],
    [pod(80), pod(81), false],
    [pod(80), pod(80, { protocol: 'UDP' }), false],
    [pod(80, { hostIP: '10.0.0.1' }), pod(80, { hostIP: '10.0.0.2' }), false],
    [pod(80, { hostIP: '10.0.0.1' }), pod(80, { hostIP: '10.0.0.1' }), true],
    [pod(80, { hostIP: '10.0.0.1' }), pod(80), true],
    [pod(80, { hostIP: '10.0.0.1' }), pod(80, { hostIP: '0.0.0.0' }), true],
    [pod(), pod(), false],
  ];
  for (const [one, other, collide] of table) {
    assert.equal(hostPortsCollide(one, [pod(), other]), collide, JSON.stringify([one, other]));
    assert.equal(hostPortsCollide(other, [one]), collide);
  }
});

test('a sidecar keeps its port, an init container that ends does not', () => {
  const init = (restartPolicy?: string): Pod => ({
    spec: {
      containers: [{ name: 'c' }],
      initContainers: [
        { name: 'i', ...(restartPolicy ? { restartPolicy } : {}), ports: [{ containerPort: 1, hostPort: 80 }] },
      ],
    },
  });
  assert.equal(hostPortsCollide(pod(80), [init('Always')]), true);
  assert.equal(hostPortsCollide(pod(80), [init()]), false);
});
