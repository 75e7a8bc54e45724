import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as cri from '../../runtime/generated/cri.ts';
import { type SandboxPlanOptions, sandboxPlan } from './sandbox-plan.ts';

const { NODE, CONTAINER, POD } = cri.NamespaceMode;
const host: SandboxPlanOptions = {
  handler: 'vm',
  netnsPath: '/run/netns/pod',
  canJoinNetns: true,
  hostResolvConf: 'nameserver 192.0.2.1\n',
};
const namespaces = (namespaceOptions: cri.NamespaceOption): cri.PodSandboxConfig => ({
  linux: { securityContext: { namespaceOptions } },
});

test("a Pod's machine is as large as its containers together, has its name, its names' servers and its network", () => {
  const plan = sandboxPlan(
    {
      hostname: 'web',
      dnsConfig: { servers: ['10.0.0.10'], searches: ['svc.cluster.local'] },
      annotations: { team: 'blue' },
      linux: {
        resources: { cpuQuota: 50_000n, cpuPeriod: 25_000n, memoryLimitInBytes: 1n << 28n },
        sysctls: { 'kernel.shm_rmid_forced': '1' },
      },
    },
    host,
  );
  assert.deepEqual(plan, {
    handler: 'vm',
    hostname: 'web',
    resources: { cpuMillicores: 2000, memoryBytes: 1 << 28 },
    annotations: { team: 'blue' },
    network: 'netns',
    netnsPath: '/run/netns/pod',
    resolvConf: 'search svc.cluster.local\nnameserver 10.0.0.10\n',
    sysctls: { 'kernel.shm_rmid_forced': '1' },
    sharePidNamespace: true,
    podFiles: true,
  });
});

test("a Pod that says nothing of names has the host's servers; an annotation counts more than the runtime's name", () => {
  assert.equal(sandboxPlan({}, host).resolvConf, 'nameserver 192.0.2.1\n');
  assert.equal(sandboxPlan({}, { ...host, handler: 'namespace' }).handler, 'namespace');
  const asked = { annotations: { 'sampan.dev/handler': 'vm' } };
  assert.equal(sandboxPlan(asked, { ...host, handler: 'namespace' }).handler, 'vm');
});

test("the host's namespaces are refused by name, a container's own are not", () => {
  assert.throws(() => sandboxPlan(namespaces({ network: NODE }), host), /hostNetwork/);
  assert.throws(() => sandboxPlan(namespaces({ pid: NODE }), host), /hostPID/);
  assert.throws(() => sandboxPlan(namespaces({ ipc: NODE }), host), /hostIPC/);
  assert.throws(() => sandboxPlan(namespaces({ usernsOptions: { mode: POD } }), host), /hostUsers/);
  assert.equal(sandboxPlan(namespaces({ pid: CONTAINER }), host).sharePidNamespace, true);
});

test("a Pod on the host's kernel may have the host's namespaces", () => {
  const asked = { network: NODE, pid: NODE, ipc: POD };
  const plan = sandboxPlan(namespaces(asked), { ...host, handler: 'namespace', netnsPath: '' });
  assert.deepEqual([plan.network, plan.hostNamespaces, plan.sharePidNamespace], ['host', ['network', 'pid'], false]);
});

test("a sysctl that is the host's is refused where the host's kernel is used", () => {
  const config = { linux: { sysctls: { 'vm.swappiness': '1' } } };
  assert.throws(() => sandboxPlan(config, { ...host, handler: 'namespace' }), /vm\.swappiness/);
  assert.deepEqual(sandboxPlan(config, host).sysctls, { 'vm.swappiness': '1' });
});
