import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as cri from '../runtime/generated/cri.ts';
import { checkGroup, withContainerNamespaces, withPodNamespaces } from './what-is-meant.ts';

const { POD, CONTAINER } = cri.NamespaceMode;
const own = { linux: { securityContext: { namespaceOptions: { pid: CONTAINER } } } };

test('a Pod that says nothing of namespaces shares its processes, one that does keeps what it says', () => {
  const { config } = withPodNamespaces({ config: { hostname: 'h', linux: { sysctls: { a: '1' } } } });
  assert.equal(config?.hostname, 'h');
  assert.deepEqual(config?.linux?.sysctls, { a: '1' });
  assert.equal(config?.linux?.securityContext?.namespaceOptions?.pid, POD);
  assert.deepEqual(withPodNamespaces({ config: own }), { config: own });
  assert.deepEqual(withPodNamespaces({}), {});
});

test('a container that says nothing does as its Pod', () => {
  const pidOf = (request: cri.CreateContainerRequest) =>
    withContainerNamespaces(request).config?.linux?.securityContext?.namespaceOptions?.pid;
  assert.equal(pidOf({ config: {} }), POD);
  assert.equal(pidOf({ config: { linux: { securityContext: { privileged: true } } }, sandboxConfig: own }), CONTAINER);
  assert.equal(pidOf({ config: own, sandboxConfig: {} }), CONTAINER);
});

test('a group needs a user', () => {
  const check = (securityContext: cri.LinuxContainerSecurityContext) =>
    checkGroup({ config: { linux: { securityContext } } });
  assert.throws(() => check({ runAsGroup: { value: 0n } }), { reason: 'Invalid', message: /runAsGroup/ });
  check({ runAsGroup: { value: 1n }, runAsUser: { value: 0n } });
  check({ runAsGroup: { value: 1n }, runAsUsername: 'nobody' });
  check({});
});
