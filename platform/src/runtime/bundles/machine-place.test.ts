import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Attachment } from '../../network/network.ts';
import type { CreateBundleSandbox } from './bundle-runtime.ts';
import { hostNamespacesOf, hostnameOf, limitsOf, machineGroup, machinePlace, machineSize } from './machine-place.ts';
import { type OciConfig, parseOciConfig } from './oci-config.ts';

const request = (more: Partial<CreateBundleSandbox>): CreateBundleSandbox => ({
  ...{ id: 'a', handler: 'namespace', hostname: '', annotations: {}, network: 'none' },
  ...more,
});
const tap = { tapName: 'tap0', mac: '02:00:00:00:00:01', netnsPath: '/run/netns/pod' } as Attachment;

test('a virtual machine is behind the tap beside what a CNI made; a machine on the host enters the namespace itself', () => {
  const netns = { network: 'netns', netnsPath: '/run/netns/pod' } as const;
  const nic = { tapName: 'tap0', mac: tap.mac, netnsPath: '/run/netns/pod' };
  assert.deepEqual(machinePlace(request({ handler: 'vm', ...netns }), tap), { nic });
  const namespaces = { network: '/run/netns/pod', pid: 'own', ipc: 'own' };
  assert.deepEqual(machinePlace(request(netns), undefined), { namespaces });
});

test("the host's namespaces are for machines on the host alone", () => {
  const asked = { network: 'host', hostNamespaces: ['network', 'pid'] } as const;
  const place = machinePlace(request({ ...asked, hostNamespaces: [...asked.hostNamespaces] }), undefined);
  assert.deepEqual(place, { namespaces: { network: 'host', pid: 'host', ipc: 'own' } });
  assert.throws(() => machinePlace(request({ handler: 'vm', network: 'host' }), undefined), { reason: 'Unsupported' });
});

test("without a UTS namespace of its own a container has the host's name", () => {
  const config = (more: object, ...types: string[]): OciConfig =>
    parseOciConfig(
      JSON.stringify({
        ociVersion: '1.0.2',
        process: { args: ['x'] },
        linux: { namespaces: types.map((type) => ({ type })) },
        ...more,
      }),
    );
  assert.equal(hostnameOf(config({}, 'pid'), 'host'), 'host');
  assert.equal(hostnameOf(config({}, 'pid', 'uts'), 'host'), '');
  assert.equal(hostnameOf(config({ hostname: 'own' }, 'uts'), 'host'), 'own');
});

test("a namespace that config.json does not list is the host's, where there is no machine in between", () => {
  const config = (types: string[]): OciConfig =>
    parseOciConfig(
      JSON.stringify({
        ociVersion: '1.0.2',
        process: { args: ['x'] },
        linux: { namespaces: types.map((type) => ({ type })) },
      }),
    );
  assert.deepEqual(hostNamespacesOf(config(['mount', 'ipc', 'uts']), 'namespace'), ['network', 'pid']);
  assert.deepEqual(hostNamespacesOf(config(['mount']), 'vm'), []);
});

test("a machine is as big as its containers may become; what limits nothing leaves it the instance's own size", () => {
  const config = (resources: object | null): OciConfig =>
    parseOciConfig(JSON.stringify({ ociVersion: '1.0.2', process: { args: ['x'] }, linux: { resources } }));
  const sizeOf = (resources: object | null) => machineSize(limitsOf(config(resources)));
  const limited = { cpu: { quota: 20_000, period: 10_000 }, memory: { limit: 1 << 28 } };
  assert.deepEqual(sizeOf(limited), { cpuMillicores: 2000, memoryBytes: 1 << 28 });
  assert.deepEqual(sizeOf({ cpu: { quota: 50_000 } }), { cpuMillicores: 500 }, "the kernel's own period");
  for (const none of [null, { cpu: null, memory: null }, { cpu: { quota: -1 }, memory: { limit: -1 } }])
    assert.deepEqual(sizeOf(none), {});
  assert.deepEqual(sizeOf({ memory: { limit: 2 ** 63 } }), { memoryBytes: 2 ** 63 });
  assert.throws(() => sizeOf({ memory: { limit: 1.5 } }), /linux\.resources\.memory\.limit: is no whole number/);
});

test("a container's group is not its machine's", () => {
  const cgroup = { path: '/a', isOwn: true };
  assert.deepEqual(machineGroup(request({ cgroup })), { cgroupParent: cgroup });
  assert.deepEqual(machineGroup(request({ cgroup: { ...cgroup, isContainers: true } })), { containerCgroup: '/a' });
});
