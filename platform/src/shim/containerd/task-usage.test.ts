import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cgroupMetrics } from './task-messages.ts';
import { usageAny } from './task-usage.ts';

const usage = {
  cpuNanos: 5_000_000n,
  memoryUsageBytes: 300,
  memoryWorkingSetBytes: 200,
  memoryRssBytes: 100,
  memoryLimitBytes: 1000,
  pageFaults: 7,
  majorPageFaults: 1,
  pids: 2,
};

test('usage is told as metrics of cgroup v2, with every part that clients read without asking whether it is there', () => {
  const { typeUrl, value } = usageAny(usage);
  assert.equal(typeUrl, 'io.containerd.cgroups.v2.Metrics');
  const { pids, cpu, memory } = cgroupMetrics.decode(value);
  assert.deepEqual([pids?.current, cpu?.usageUsec, memory?.usage, memory?.inactiveFile], [2n, 5000n, 300n, 100n]);
  // Field 6 (io), of no bytes.
  assert.deepEqual([...value.subarray(-2)], [0x32, 0]);
});
