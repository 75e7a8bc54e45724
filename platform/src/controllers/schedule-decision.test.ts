import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Size } from '@sampan/api/pod-size.ts';
import type { NodeObject, PodObject } from './node-selection.ts';
import { schedule } from './schedule-decision.ts';

const gib = 2 ** 30;
const node = (name: string, more: object = {}): NodeObject =>
  ({
    metadata: { name, labels: { zone: name } },
    spec: {},
    status: { conditions: [{ type: 'Ready', status: 'True' }] },
    ...more,
  }) as unknown as NodeObject;
const pod = (cpuMillicores: number, memoryBytes = gib, spec: object = {}): PodObject & { needs: Size } =>
  ({
    metadata: { name: 'p', uid: String(Math.random()) },
    spec,
    needs: { cpuMillicores, memoryBytes, ephemeralStorageBytes: 0 },
  }) as unknown as PodObject & { needs: Size };
const decide = (one: PodObject, nodes: NodeObject[], bound: PodObject[] = []) =>
  schedule({
    pod: one,
    nodes,
    bound,
    needs: (any) => (any as PodObject & { needs: Size }).needs,
    namespaceLabels: () => undefined,
    allocatable: () => ({ cpuMillicores: 2000, memoryBytes: 4 * gib, ephemeralStorageBytes: gib, pods: 3 }),
  });

test('a Pod goes where the most memory is free', () => {
  assert.deepEqual(decide(pod(500), [node('a'), node('b')], [pod(100, gib, { nodeName: 'a' })]), { node: 'b' });
});

test('a refusal counts the nodes by reason, as kube-scheduler words it', () => {
  assert.deepEqual(decide(pod(3000, 9 * gib), [node('a')]), {
    message: '0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory.',
  });
  assert.deepEqual(decide(pod(1), []), { message: 'no nodes available to schedule pods' });
});

test('what bound Pods ask for is taken, to the last millicore', () => {
  const taken = [pod(1500, gib, { nodeName: 'a' })];
  assert.deepEqual(decide(pod(500), [node('a')], taken), { node: 'a' });
  assert.deepEqual(decide(pod(501), [node('a')], taken), { message: '0/1 nodes are available: 1 Insufficient cpu.' });
});

test('who named no size reads what the Pod counts as', () => {
  const unsized = pod(501, gib, { containers: [{ name: 'c', resources: { limits: { memory: '1Gi' } } }] });
  assert.deepEqual(decide(unsized, [node('a')], [pod(1500, gib, { nodeName: 'a' })]), {
    message:
      '0/1 nodes are available: 1 Insufficient cpu. Pods that name no size count as cpu: 500m; set resources.limits to choose.',
  });
});

test('a node full of Pods takes no more', () => {
  const three = [1, 2, 3].map(() => pod(1, 1, { nodeName: 'a' }));
  assert.deepEqual(decide(pod(1), [node('a')], three), { message: '0/1 nodes are available: 1 Too many pods.' });
});

test('a port of the host is one Pod’s at a time', () => {
  const ports = { containers: [{ name: 'c', ports: [{ containerPort: 80, hostPort: 8080 }] }] };
  const taken = [pod(1, 1, { nodeName: 'a', ...ports })];
  assert.deepEqual(decide(pod(1, 1, ports), [node('a'), node('b')], taken), { node: 'b' });
  assert.deepEqual(decide(pod(1, 1, ports), [node('a')], taken), {
    message: "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.",
  });
});

test('selectors, affinity and taints keep a Pod away', () => {
  const nodes = [node('a'), node('b', { spec: { taints: [{ key: 'gpu', value: 'yes', effect: 'NoSchedule' }] } })];
  assert.deepEqual(decide(pod(1, 1, { nodeSelector: { zone: 'c' } }), nodes), {
    message:
      "0/2 nodes are available: 1 node(s) had untolerated taint {gpu: yes}, 2 node(s) didn't match Pod's node affinity/selector.",
  });
  const tolerations = [{ key: 'gpu', operator: 'Exists' }];
  assert.deepEqual(decide(pod(1, 1, { nodeSelector: { zone: 'b' }, tolerations }), nodes), { node: 'b' });
  const affinity = {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [{ matchExpressions: [{ key: 'zone', operator: 'NotIn', values: ['a'] }] }],
      },
    },
  };
  assert.deepEqual(decide(pod(1, 1, { affinity, tolerations }), nodes), { node: 'b' });
});

test('a node that is preferred is taken before one with more room', () => {
  const preferredDuringSchedulingIgnoredDuringExecution = [
    { weight: 5, preference: { matchExpressions: [{ key: 'zone', operator: 'In', values: ['a'] }] } },
  ];
  const wish = pod(1, 1, { affinity: { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution } } });
  assert.deepEqual(decide(wish, [node('a'), node('b')], [pod(1, gib, { nodeName: 'a' })]), { node: 'a' });
});

test('a node is chosen by a number on its label, and by its name', () => {
  const labelled = (name: string, disks: string) => node(name, { metadata: { name, labels: { disks } } });
  const nodes = [labelled('a', '9'), labelled('b', '10'), labelled('c', 'many')];
  const asking = (term: object) => {
    const nodeAffinity = { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [term] } };
    return decide(pod(1, 1, { affinity: { nodeAffinity } }), nodes);
  };
  assert.deepEqual(asking({ matchExpressions: [{ key: 'disks', operator: 'Gt', values: ['9'] }] }), { node: 'b' });
  assert.deepEqual(asking({ matchExpressions: [{ key: 'disks', operator: 'Lt', values: ['10'] }] }), { node: 'a' });
  assert.deepEqual(asking({ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['c'] }] }), { node: 'c' });
  assert.match(JSON.stringify(asking({ matchExpressions: [{ key: 'disks', operator: 'Gt', values: ['x'] }] })), /0\/3/);
});

test('a node that is not ready or cordoned takes nothing', () => {
  assert.match(JSON.stringify(decide(pod(1), [node('a', { status: {} })])), /not ready/);
  assert.match(JSON.stringify(decide(pod(1), [node('a', { spec: { unschedulable: true } })])), /unschedulable/);
});
