import assert from 'node:assert/strict';
import { test } from 'node:test';
import { guestOverheadMib, machineShape, vmmOverheadMib } from './machine-shape.ts';

const defaults = { cpuMillicores: 500, memoryMib: 512 };
const mib = 1024n * 1024n;

test('a Pod that says nothing gets the defaults and the overhead of the guest', () => {
  const size = machineShape(undefined, defaults);
  assert.deepEqual(size, {
    shape: { vcpus: 1, memoryMib: 512 + guestOverheadMib },
    cpuMillicores: 500,
    memoryLimitBytes: 512 * Number(mib),
  });
});

test('a quota decides the CPUs, rounded up', () => {
  const resources = { cpuQuota: 150_000n, cpuPeriod: 100_000n, cpuShares: 512n };
  const size = machineShape({ resources }, defaults);
  assert.equal(size.cpuMillicores, 1500);
  assert.equal(size.shape.vcpus, 2);
});

test('without a quota the shares are the request; the least value of the kernel means none', () => {
  assert.equal(machineShape({ resources: { cpuShares: 3072n } }, defaults).cpuMillicores, 3000);
  assert.equal(machineShape({ resources: { cpuShares: 2n } }, defaults).cpuMillicores, 500);
});

test('memory comes in steps of 32 MiB so that Pods share templates, and the limit stays exact', () => {
  const size = machineShape({ resources: { memoryLimitInBytes: 100n * mib } }, defaults);
  assert.equal(size.shape.memoryMib % 32, 0);
  assert.equal(size.shape.memoryMib, 192);
  assert.equal(size.memoryLimitBytes, 100 * Number(mib));
});

test('of the overhead of a RuntimeClass the guest gets what the VMM leaves, and never less than it needs', () => {
  const resources = { memoryLimitInBytes: 128n * mib, cpuQuota: 100_000n, cpuPeriod: 100_000n };
  const cpu = { cpuQuota: 25_000n, cpuPeriod: 100_000n };
  const shape = (overheadMib: bigint, handler?: 'namespace') =>
    machineShape({ resources, overhead: { ...cpu, memoryLimitInBytes: overheadMib * mib } }, defaults, handler).shape;
  assert.deepEqual(shape(192n), { vcpus: 2, memoryMib: 256 });
  // The published one makes the same machine as none: Pods of the class vm share the others' templates.
  assert.equal(
    shape(BigInt(guestOverheadMib + vmmOverheadMib)).memoryMib,
    machineShape({ resources }, defaults).shape.memoryMib,
  );
  assert.equal(shape(1n).memoryMib, 192);
  assert.equal(shape(8n, 'namespace').memoryMib, 160);
});

test('a size that no machine has is refused', () => {
  const resources = { cpuQuota: 2_000_000_000n, cpuPeriod: 1000n };
  assert.throws(() => machineShape({ resources }, defaults), { reason: 'Invalid', message: /at most 1024 CPUs/ });
});
