import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseOciConfig } from '../../runtime/bundles/oci-config.ts';
import { bundleId, taskName } from './task-ids.ts';
import { taskPlan } from './task-plan.ts';

const plan = (more: { annotations?: object; linux?: object }, canJoinNetns = true) =>
  taskPlan(
    parseOciConfig(JSON.stringify({ ociVersion: '1.1.0', process: { args: ['x'] }, hostname: 'web', ...more })),
    { canJoinNetns, handler: 'vm', usualCgroup: '/default/web' },
  );
const sandboxOf = (given: ReturnType<typeof plan>) => {
  assert.equal(given.kind, 'own-machine');
  return given.kind === 'own-machine' ? given.sandbox : undefined;
};
const netns = { namespaces: [{ type: 'network', path: '/run/netns/x' }] };

test('a task has a machine of its own, as large as its limits say, without a network', () => {
  const resources = { cpu: { quota: 150_000, period: 100_000 }, memory: { limit: 1 << 28 } };
  const sandbox = sandboxOf(plan({ linux: { resources } }));
  assert.deepEqual(sandbox?.resources, { cpuMillicores: 1500, memoryBytes: 1 << 28 });
  assert.deepEqual([sandbox?.handler, sandbox?.hostname, sandbox?.network], ['vm', 'web', 'none']);
});

test("a sandbox of the CRI plugin is as large as its Pod, and joins the Pod's network namespace", () => {
  const annotations = {
    'io.kubernetes.cri.container-type': 'sandbox',
    'io.kubernetes.cri.sandbox-memory': '1048576',
    'io.kubernetes.cri.sandbox-cpu-quota': '20000',
    'io.kubernetes.cri.sandbox-cpu-period': '10000',
  };
  const sandbox = sandboxOf(plan({ annotations, linux: netns }));
  assert.deepEqual(sandbox?.resources, { cpuMillicores: 2000, memoryBytes: 1_048_576 });
  assert.deepEqual([sandbox?.network, sandbox?.netnsPath], ['netns', '/run/netns/x']);
  const strange = { ...annotations, 'io.kubernetes.cri.sandbox-memory': 'Infinity' };
  assert.deepEqual(sandboxOf(plan({ annotations: strange, linux: netns }))?.resources, { cpuMillicores: 2000 });
});

test('a container of the CRI plugin goes into the machine of its sandbox', () => {
  const annotations = { 'io.kubernetes.cri.container-type': 'container', 'io.kubernetes.cri.sandbox-id': 'pod' };
  assert.deepEqual(plan({ annotations }), { kind: 'in-sandbox', sandboxId: 'pod' });
  const { 'io.kubernetes.cri.sandbox-id': _, ...without } = annotations;
  assert.throws(() => plan({ annotations: without }), { reason: 'Invalid', message: /sandbox-id/ });
});

test("namespaces that are not listed are the host's under the handler namespace", () => {
  const linux = { namespaces: ['pid', 'mount'].map((type) => ({ type })) };
  const sandbox = sandboxOf(plan({ annotations: { 'sampan.dev/handler': 'namespace' }, linux }));
  assert.deepEqual([sandbox?.network, sandbox?.hostNamespaces], ['host', ['network', 'ipc']]);
  const inVm = sandboxOf(plan({ linux }));
  assert.deepEqual([inVm?.network, inVm?.hostNamespaces], ['none', undefined]);
});

test('a machine goes where the bundle says, but for one on the host that is only said to be where all are', () => {
  const cgroupOf = (cgroupsPath: string, handler: string) =>
    sandboxOf(plan({ annotations: { 'sampan.dev/handler': handler }, linux: { cgroupsPath } }))?.cgroup?.path;
  assert.equal(cgroupOf('/default/web', 'vm'), '/default/web');
  assert.equal(cgroupOf('/team/web', 'namespace'), '/team/web');
  assert.equal(cgroupOf('/default/web', 'namespace'), undefined);
});

test('annotations choose the handler and our bridge; what they cannot choose is refused by name', () => {
  const annotations = { 'sampan.dev/handler': 'namespace', 'sampan.dev/network': 'bridge' };
  const sandbox = sandboxOf(plan({ annotations, linux: netns }));
  assert.deepEqual([sandbox?.handler, sandbox?.network, sandbox?.netnsPath], ['namespace', 'bridge', undefined]);
  for (const key of Object.keys(annotations))
    assert.throws(() => plan({ annotations: { [key]: 'other' } }), { reason: 'Unsupported', message: new RegExp(key) });
});

test('ids of several containerds and namespaces are told apart', () => {
  const name = { door: '0123abcd', namespace: 'k8s.io', id: 'a-b_c.d' };
  assert.deepEqual(taskName(bundleId(name)), name);
  for (const id of ['a--b', '-a', 'a/b', '', 'x'.repeat(77)])
    assert.throws(() => bundleId({ ...name, id }), { reason: 'Invalid' }, id);
  for (const foreign of ['podman-id', 'x--y--z', '0123abcd--a--b--c']) assert.equal(taskName(foreign), undefined);
});
