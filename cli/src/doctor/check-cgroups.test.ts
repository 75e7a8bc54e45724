import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeCgroups } from './check-cgroups.ts';

const tmpfs = 'tmpfs /sys/fs/cgroup tmpfs rw 0 0\n';
const old = (...names: string[]) =>
  names.map((name) => `cgroup /sys/fs/cgroup/${name} cgroup rw,relatime,${name} 0 0\n`).join('');
const beside = 'cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n';

test('version 1, 2, and both with all controllers in one are fine', () => {
  assert.deepEqual(describeCgroups('cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n', 'cpuset cpu memory pids\n'), {
    state: 'ok',
    found: 'cgroup v2 with cpu and memory',
  });
  for (const mounts of [tmpfs + old('cpu,cpuacct', 'memory'), tmpfs + old('cpu', 'memory') + beside])
    assert.deepEqual(describeCgroups(mounts, ''), { state: 'ok', found: 'cgroup v1 with cpu and memory' });
});

test('controllers split between the versions: what is bounded where, and what is not offered', () => {
  const memory = describeCgroups(tmpfs + old('cpu,cpuacct', 'pids') + beside, 'io memory\n');
  assert.equal(memory.state, 'warn');
  assert.match(memory.found, /v1 has cpu, cgroup v2 beside it memory; .*"namespace" is not offered/);
  assert.match(memory.mend ?? '', /without cgroup_no_v1=/);
  const cpu = describeCgroups(tmpfs + old('memory') + beside, 'cpu\n');
  assert.match(cpu.found, /v1 has memory, cgroup v2 beside it cpu; .*no CPU limits/);
});

test('a controller that is nowhere is named with what it takes', () => {
  const none = describeCgroups(tmpfs + old('cpu'), '');
  assert.match(none.found, /no cgroup hierarchy with memory: .*"namespace" is not offered/);
  assert.match(describeCgroups('', '').found, /cpu and memory/);
});
