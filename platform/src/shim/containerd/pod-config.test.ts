import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadSync } from '@grpc/proto-loader';
import { decodePodConfig } from './pod-config.ts';

test('a configuration as CRI writes it is read: names, limits, namespaces, and the rest is read over', () => {
  const proto = loadSync(new URL('../../cri/generated/api.proto', import.meta.url).pathname, { longs: BigInt });
  const service = proto['runtime.v1.RuntimeService'] as unknown as Service;
  const bytes = service.RunPodSandbox.requestSerialize({
    config: {
      metadata: { name: 'pod', uid: 'u', namespace: 'default' },
      hostname: 'web',
      dnsConfig: { servers: ['10.0.0.10'], searches: ['cluster.local'], options: ['ndots:5'] },
      annotations: { a: 'b' },
      labels: { not: 'read' },
      linux: {
        cgroupParent: '/kubepods',
        securityContext: { namespaceOptions: { network: 2, pid: 1 }, privileged: true },
        sysctls: { 'net.core.somaxconn': '1' },
        resources: { cpuQuota: 5, cpuPeriod: 10, memoryLimitInBytes: 1 << 20 },
      },
    },
  });
  // A RunPodSandboxRequest with nothing but its config: a tag and a length before it.
  const config = decodePodConfig(bytes.subarray(bytes.readUInt8(1) < 0x80 ? 2 : 3));
  assert.equal(config.hostname, 'web');
  assert.deepEqual(config.dnsConfig, { servers: ['10.0.0.10'], searches: ['cluster.local'], options: ['ndots:5'] });
  assert.deepEqual(config.annotations, { a: 'b' });
  assert.deepEqual(config.linux?.sysctls, { 'net.core.somaxconn': '1' });
  assert.deepEqual(config.linux?.resources, { cpuPeriod: 10n, cpuQuota: 5n, memoryLimitInBytes: 1n << 20n });
  const { network, pid, ipc } = config.linux?.securityContext?.namespaceOptions ?? {};
  assert.deepEqual([network, pid, ipc], [2, 1, 0]);
});

test('bytes that are no configuration are refused', () => {
  assert.throws(() => decodePodConfig(Buffer.from('no message')), { reason: 'BadRequest' });
});

interface Service {
  RunPodSandbox: { requestSerialize(value: object): Buffer };
}
