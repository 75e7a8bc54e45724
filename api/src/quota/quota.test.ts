import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '../client.ts';
import { resources } from '../client.ts';
import { formatAmounts } from './amounts.ts';
import { isInScope } from './scopes.ts';
import { countedKind, usageOf } from './usage.ts';

const { pods, services, persistentvolumeclaims, deployments } = resources;
const usage = (ref: { group: string; resource: string }, object: object) =>
  formatAmounts(usageOf(ref, object as KubeObject));
const container = (requests: object, limits: object = {}, more: object = {}) => ({
  resources: { requests, limits },
  ...more,
});

test('a Pod counts for the hungriest moment of its life, sidecars and overhead with it', () => {
  const spec = {
    initContainers: [
      container({ cpu: '100m' }, {}, { restartPolicy: 'Always' }),
      container({ cpu: '1', memory: '1Gi' }),
    ],
    containers: [container({ cpu: '250m', memory: '512Mi' }, { cpu: '1' }), container({ cpu: '250m' })],
    overhead: { cpu: '50m' },
  };
  assert.deepEqual(usage(pods, { spec }), {
    'count/pods': '1',
    pods: '1',
    'requests.cpu': '1150m',
    cpu: '1150m',
    'requests.memory': '1Gi',
    memory: '1Gi',
    'limits.cpu': '1050m',
  });
});

test('a Pod that has ended is an object and nothing else', () => {
  const spec = { containers: [container({ cpu: '1' })] };
  for (const phase of ['Succeeded', 'Failed'])
    assert.deepEqual(usage(pods, { spec, status: { phase } }), { 'count/pods': '1' });
});

test('Services count their ports of nodes and their balancers, claims their storage by class', () => {
  const ports = [{ port: 1 }, { port: 2 }];
  assert.equal(usage(services, { spec: { type: 'NodePort', ports } })['services.nodeports'], '2');
  const balanced = usage(services, { spec: { type: 'LoadBalancer', ports, allocateLoadBalancerNodePorts: false } });
  assert.deepEqual([balanced['services.nodeports'], balanced['services.loadbalancers']], ['0', '1']);
  const spec = { storageClassName: 'fast', resources: { requests: { storage: '10Gi' } } };
  const claim = usage(persistentvolumeclaims, { spec });
  assert.deepEqual(
    [claim['requests.storage'], claim['fast.storageclass.storage.k8s.io/requests.storage']],
    ['10Gi', '10Gi'],
  );
  assert.deepEqual(usage(deployments, {}), { 'count/deployments.apps': '1' });
});

test('a name of a quota says which kind it counts', () => {
  const cases: [string, string, string][] = [
    ['pods', '', 'pods'],
    ['limits.cpu', '', 'pods'],
    ['requests.example.com/gpu', '', 'pods'],
    ['requests.storage', '', 'persistentvolumeclaims'],
    ['fast.storageclass.storage.k8s.io/persistentvolumeclaims', '', 'persistentvolumeclaims'],
    ['services.nodeports', '', 'services'],
    ['count/jobs.batch', 'batch', 'jobs'],
    ['count/leases.coordination.k8s.io', 'coordination.k8s.io', 'leases'],
    ['secrets', '', 'secrets'],
  ];
  for (const [name, group, resource] of cases) assert.deepEqual(countedKind(name), { group, resource }, name);
});

test('a Pod is in every scope it must be in, and other objects in none', () => {
  const pod = {
    spec: { containers: [container({})], activeDeadlineSeconds: 5, priorityClassName: 'high' },
  } as KubeObject;
  const inScope = (spec: object) => isInScope(spec, pods, pod);
  assert.ok(inScope({ scopes: ['BestEffort', 'Terminating'] }));
  assert.ok(!inScope({ scopes: ['BestEffort', 'NotTerminating'] }));
  const byClass = (operator: string, values?: string[]) =>
    inScope({ scopeSelector: { matchExpressions: [{ scopeName: 'PriorityClass', operator, values }] } });
  assert.deepEqual(
    [byClass('In', ['high']), byClass('NotIn', ['high']), byClass('Exists'), byClass('DoesNotExist')],
    [true, false, true, false],
  );
  assert.ok(!inScope({ scopes: ['CrossNamespacePodAffinity'] }));
  assert.ok(!isInScope({ scopes: ['NotBestEffort'] }, services, {}));
  assert.ok(isInScope({}, services, {}));
});
