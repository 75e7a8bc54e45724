import assert from 'node:assert/strict';
import { test } from 'node:test';
import { criJson } from './cri-json.ts';
import * as cri from './generated/cri.ts';

test('a configuration is shown with the names of the proto, with numbers, and without what says nothing', () => {
  const config: cri.ContainerConfig = {
    metadata: { name: 'main', attempt: 0 },
    image: { image: 'busybox:1', annotations: {} },
    command: ['sh', ''],
    logPath: 'main.log',
    workingDir: '',
    tty: false,
    labels: { aKey: 'v', 'example.com/someKey': '' },
    mounts: [{ containerPath: '/x', hostPath: '/y', propagation: cri.MountPropagation.PROPAGATION_BIDIRECTIONAL }],
    CDIDevices: [{ name: 'a/b=c' }],
    linux: {
      resources: { memoryLimitInBytes: 64n, cpuQuota: 0n, unified: { 'memory.max': '1' } },
      securityContext: { supplementalGroups: [0n, 7n], namespaceOptions: { pid: cri.NamespaceMode.CONTAINER } },
    },
  };
  assert.deepEqual(criJson(config), {
    metadata: { name: 'main' },
    image: { image: 'busybox:1' },
    command: ['sh', ''],
    log_path: 'main.log',
    labels: { aKey: 'v', 'example.com/someKey': '' },
    mounts: [{ container_path: '/x', host_path: '/y', propagation: 2 }],
    cdi_devices: [{ name: 'a/b=c' }],
    linux: {
      resources: { memory_limit_in_bytes: 64, unified: { 'memory.max': '1' } },
      security_context: { supplemental_groups: [0, 7], namespace_options: { pid: 1 } },
    },
  });
});
