import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runtimeAnnotation } from '../annotations.ts';
import * as cri from '../generated/cri.ts';
import { checkSysctls, handlerOf, machineNamespaces, networkModeOf } from './handlers.ts';

const { NODE, POD } = cri.NamespaceMode;
const onHost = (options: cri.NamespaceOption): cri.PodSandboxConfig => ({
  linux: { securityContext: { namespaceOptions: options } },
});
const withMode = (mode: string): cri.PodSandboxConfig => ({ annotations: { [runtimeAnnotation.networkMode]: mode } });

test('a sandbox without a handler runs in a VM, and an unknown one is refused by name', () => {
  assert.deepEqual(
    [handlerOf(undefined), handlerOf(''), handlerOf('vm'), handlerOf('namespace')],
    ['vm', 'vm', 'vm', 'namespace'],
  );
  assert.throws(() => handlerOf('runc'), { reason: 'Unsupported', message: /"runc"/ });
});

test('network modes: bridge by default, none, host and macvlan where there is no VM, and nothing that contradicts itself', () => {
  assert.equal(networkModeOf({}, 'vm'), 'bridge');
  assert.equal(networkModeOf(onHost({ network: NODE }), 'namespace'), 'host');
  assert.equal(networkModeOf(withMode('none'), 'namespace'), 'none');
  assert.throws(() => networkModeOf(withMode('none'), 'vm'), { reason: 'Unsupported', message: /network mode none/ });
  assert.equal(networkModeOf(withMode('macvlan'), 'namespace'), 'macvlan');
  assert.throws(() => networkModeOf(withMode('macvlan'), 'vm'), { reason: 'Unsupported', message: /mode macvlan/ });
  assert.throws(() => networkModeOf(withMode('token-ring'), 'namespace'), { reason: 'Invalid', message: /token-ring/ });
  assert.throws(() => networkModeOf(withMode('host'), 'namespace'), { reason: 'Invalid', message: /hostNetwork/ });
  const both = { ...onHost({ network: NODE }), ...withMode('none') };
  assert.throws(() => networkModeOf(both, 'namespace'), { reason: 'Invalid', message: /contradict/ });
});

test('the namespaces of a machine on the host are those that the Pod asks to share with it, and no others', () => {
  assert.deepEqual(machineNamespaces({}, 'bridge'), { network: 'own', pid: 'own', ipc: 'own' });
  const config = onHost({ network: NODE, pid: NODE, ipc: NODE });
  assert.deepEqual(machineNamespaces(config, 'host'), { network: 'host', pid: 'host', ipc: 'host' });
  assert.equal(machineNamespaces(onHost({ pid: POD }), 'bridge').pid, 'own');
});

test("a sysctl is the Pod's where its namespace is; a VM may have any", () => {
  const config = (name: string, options: cri.NamespaceOption = {}): cri.PodSandboxConfig => ({
    linux: { sysctls: { [name]: '1' }, securityContext: { namespaceOptions: options } },
  });
  checkSysctls(config('kernel.panic'), 'vm');
  checkSysctls(config('net.core.somaxconn'), 'namespace');
  checkSysctls(config('kernel.shm_rmid_forced'), 'namespace');
  checkSysctls(config('kernel/sem'), 'namespace');
  for (const bad of [
    config('kernel.panic'),
    config('vm.swappiness'),
    config('net.core.somaxconn', { network: NODE }),
    config('kernel.sem', { ipc: NODE }),
  ])
    assert.throws(() => checkSysctls(bad, 'namespace'), { reason: 'Unsupported', message: /sysctl/ });
});
