import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type OciConfig, parseOciConfig } from '../runtime/bundles/oci-config.ts';
import { keyOf } from './container-records.ts';
import { checkHandler, isFirstIn, type Neighbour, placement, sandboxIdFor } from './placement.ts';

const own = [{ type: 'network' }, { type: 'pid' }];
const config = (namespaces: object[], more: object = {}): OciConfig =>
  parseOciConfig(JSON.stringify({ ociVersion: '1.0.2', process: { args: ['a'] }, linux: { namespaces }, ...more }));
const here = { id: '0f'.repeat(32), root: '/r' };
const infra: Neighbour = {
  key: 'k1',
  sandboxId: 's1',
  holderPid: 4711,
  root: '/r',
  annotations: { 'io.kubernetes.cri-o.SandboxID': 'p' },
};

test('a container alone gets a machine of its own, as big as it may become', () => {
  const linux = { namespaces: own, resources: { memory: { limit: 1 << 28 }, cpu: { quota: 50_000, period: 100_000 } } };
  const place = placement(config(own, { linux, hostname: 'h' }), here, [infra]);
  assert.ok('create' in place);
  const { handler, network, hostname, resources } = place.create;
  assert.deepEqual(
    { handler, network, hostname, resources },
    {
      handler: 'vm',
      network: 'none',
      hostname: 'h',
      resources: { cpuMillicores: 500, memoryBytes: 1 << 28 },
    },
  );
});

test('a network that was made before is joined where it is', () => {
  const place = placement(config([{ type: 'network', path: '/run/netns/a' }]), here, []);
  assert.ok('create' in place);
  assert.deepEqual([place.create.network, place.create.netnsPath], ['netns', '/run/netns/a']);
});

test("under the handler namespace a network that is not listed is the host's", () => {
  const annotations = { 'sampan.dev/handler': 'namespace' };
  const place = placement(config([{ type: 'pid' }, { type: 'ipc' }], { annotations }), here, []);
  assert.ok('create' in place);
  assert.deepEqual([place.create.network, place.create.hostNamespaces], ['host', ['network']]);
});

test("a machine goes where the bundle says, but for one on the host that is only said to be where all of Podman's are", () => {
  const cgroupOf = (cgroupsPath: string, handler: string) => {
    const annotations = { 'sampan.dev/handler': handler };
    const place = placement(config(own, { annotations, linux: { namespaces: own, cgroupsPath } }), here, []);
    return 'create' in place ? place.create.cgroup?.path : undefined;
  };
  const usual = `/libpod_parent/libpod-${here.id}`;
  assert.equal(cgroupOf(usual, 'vm'), usual);
  assert.equal(cgroupOf(usual, 'namespace'), undefined);
  assert.equal(cgroupOf('/mine/libpod-0f', 'namespace'), '/mine/libpod-0f');
});

test("a container of one of Podman's pods on the host has no group of its own among the host's: others come into its machine", () => {
  const isContainers = (cgroupsPath: string) => {
    const annotations = { 'sampan.dev/handler': 'namespace' };
    const place = placement(config(own, { annotations, linux: { namespaces: own, cgroupsPath } }), here, []);
    return 'create' in place ? place.create.cgroup?.isContainers : undefined;
  };
  assert.equal(isContainers(`/libpod_parent/${'0f'.repeat(32)}/libpod-0f`), undefined);
  assert.equal(isContainers(`/docker/${'0f'.repeat(32)}`), true);
  assert.equal(isContainers('/mine/libpod-0f'), true);
});

test('whose namespaces are named is told by the process that holds a container as by its own', () => {
  const neighbour = { ...infra, annotations: {}, processPid: 5000 };
  for (const pid of [4711, 5000]) {
    const namespaces = [{ type: 'network', path: `/proc/${pid}/ns/net` }, { type: 'pid' }];
    assert.deepEqual(placement(config(namespaces), here, [neighbour]), { join: 's1' });
  }
});

test('containers of one pod share its machine, told by annotation or by whose namespaces they name', () => {
  const byNamespace = config([
    { type: 'network', path: '/proc/4711/ns/net' },
    { type: 'ipc', path: '/proc/4711/ns/ipc' },
  ]);
  assert.deepEqual(placement(byNamespace, here, [infra]), { join: 's1' });
  const byAnnotation = config(own, { annotations: { 'io.kubernetes.cri-o.SandboxID': 'p' } });
  assert.deepEqual(placement(byAnnotation, here, [infra]), { join: 's1' });
  assert.ok(
    'create' in placement(byAnnotation, { ...here, root: '/other' }, [infra]),
    'a pod of another root is another pod',
  );
  const pid = config([...own, { type: 'pid', path: '/proc/4711/ns/pid' }]);
  assert.deepEqual(placement(pid, here, [infra]), { join: 's1', pidNamespaceOf: 'k1' });
});

test('of a pod that is restarted a container goes where its first one is now, not where the others were left', () => {
  const annotations = { 'io.kubernetes.cri-o.SandboxID': 'p' };
  const left: Neighbour = { ...infra, key: 'k2', sandboxId: 's1', holderPid: 4712 };
  const first: Neighbour = { ...infra, key: keyOf('/r', 'p'), sandboxId: 's1-2', annotations: {} };
  const named = config([{ type: 'network', path: '/proc/4711/ns/net' }, { type: 'pid' }], { annotations });
  assert.deepEqual(placement(named, here, [left, first]), { join: 's1-2' });
  assert.deepEqual(placement(config(own, { annotations }), here, [left, first]), { join: 's1-2' });
  assert.ok('create' in placement(config(own, { annotations }), { ...here, id: 'p' }, [left]), 'the first itself');
});

test('a machine that is made anew while the one before it is in use has a name of its own', () => {
  assert.equal(sandboxIdFor('k', []), 'k');
  assert.equal(sandboxIdFor('k', [{ sandboxId: 'k' }, { sandboxId: 'k-2' }]), 'k-3');
  assert.deepEqual(
    ['k', 'k-2', 'k2'].map((id) => isFirstIn(id, 'k')),
    [true, true, false],
  );
});

test('the name of the runtime says of which handler a machine is, an annotation counts more, and in a pod there is one', () => {
  const handlerOf = (annotations: object) => {
    const place = placement(config(own, { annotations }), { ...here, handler: 'namespace' }, []);
    return 'create' in place && place.create.handler;
  };
  assert.equal(handlerOf({}), 'namespace');
  assert.equal(handlerOf({ 'sampan.dev/handler': 'vm' }), 'vm');
  checkHandler({}, 'namespace');
  checkHandler({ 'sampan.dev/handler': 'vm' }, 'vm');
  assert.throws(() => checkHandler({ 'sampan.dev/handler': 'namespace' }, 'vm'), {
    reason: 'Unsupported',
    message: /namespace is wanted, but the pod's machine is of the handler vm; .*sampan-runtime-namespace/,
  });
});

test("namespaces of strangers, the host's network and unknown handlers are refused by name", () => {
  const refusal = (one: OciConfig) => () => placement(one, here, [infra]);
  assert.throws(refusal(config([{ type: 'network', path: '/proc/1/ns/net' }])), /network \(\/proc\/1\/ns\/net\)/);
  for (const [type, path] of [
    ['network', '/proc/self/ns/net'],
    ['ipc', '/run/ipcns/a'],
    ['mount', '/proc/4711/ns/mnt'],
    ['cgroup', '/proc/4711/ns/cgroup'],
  ])
    assert.throws(
      refusal(config([...own, { type, path }])),
      new RegExp(`${type} .*is not of a machine of this runtime`),
    );
  assert.throws(refusal(config([{ type: 'pid' }])), /no network means the host's/);
  assert.throws(
    refusal(config(own, { annotations: { 'sampan.dev/handler': 'jail' } })),
    /sampan.dev\/handler is "jail"/,
  );
});
