import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { hierarchiesOf, isInhabited, MachineCgroups } from './machine-cgroups.ts';

const hybrid = `tmpfs /sys/fs/cgroup tmpfs rw 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,nosuid,nodev,noexec,relatime,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0
cgroup /elsewhere/memory cgroup ro,memory 0 0
cgroup /sys/fs/cgroup/systemd cgroup rw,xattr,release_agent=/x,name=systemd 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0
`;

test('every hierarchy of version 1 counts once, on a hybrid host too; without any it is version 2', () => {
  assert.deepEqual(hierarchiesOf(hybrid), {
    version: 1,
    roots: ['/sys/fs/cgroup/cpu,cpuacct', '/sys/fs/cgroup/memory', '/sys/fs/cgroup/systemd'],
    unified: '/sys/fs/cgroup/unified',
  });
  assert.deepEqual(hierarchiesOf('cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n'), { version: 2, roots: ['/sys/fs/cgroup'] });
  assert.deepEqual(hierarchiesOf('proc /proc proc rw 0 0\n'), { version: 2, roots: [] });
});

async function inDirectory(body: (root: string) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'sampan-cgroups-'));
  try {
    await body(root);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** Files as the kernel makes them in a group, which a plain directory lacks. */
async function fill(path: string, files: Record<string, string>): Promise<void> {
  await mkdir(path, { recursive: true });
  for (const [name, content] of Object.entries(files)) await writeFile(join(path, name), content);
}

const textOf = (...path: string[]) => readFile(join(...path), 'utf8');

test('version 1: limits go to the hierarchy that has them, and a cpuset gets the CPUs of its parent', () =>
  inDirectory(async (root) => {
    const cpus = { 'cpuset.cpus': '0-3\n', 'cpuset.mems': '0\n' };
    const blank = { 'cpuset.cpus': '\n', 'cpuset.mems': '\n' };
    await fill(join(root, 'memory'), { 'memory.limit_in_bytes': '' });
    await fill(join(root, 'cpuset'), cpus);
    await fill(join(root, 'cpuset/sampan-t'), blank);
    await fill(join(root, 'cpuset/sampan-t/one'), blank);
    await fill(join(root, 'memory/sampan-t/one'), { 'memory.limit_in_bytes': '', 'memory.usage_in_bytes': '4096\n' });
    await fill(join(root, 'cpu/sampan-t/one'), { 'cpu.cfs_quota_us': '', 'cpu.shares': '', 'cpuacct.usage': '77\n' });
    await fill(join(root, 'freezer/sampan-t/one'), { 'freezer.state': '' });
    const mounts = ['memory', 'cpuset', 'cpu', 'freezer'].map(
      (name) => `cgroup ${root}/${name} cgroup rw,${name} 0 0\n`,
    );
    const cgroups = await MachineCgroups.open('t', mounts.join(''));
    const paths = cgroups.paths('one');
    await cgroups.create(paths);
    assert.equal(await textOf(root, 'cpuset/sampan-t/one/cpuset.cpus'), '0-3');
    await cgroups.limit(paths, { memoryBytes: 1 << 20, millicores: 500 });
    assert.equal(await textOf(root, 'memory/sampan-t/one/memory.limit_in_bytes'), '1048576');
    assert.equal(await textOf(root, 'cpu/sampan-t/one/cpu.cfs_quota_us'), '50000');
    assert.equal(await textOf(root, 'cpu/sampan-t/one/cpu.shares'), '512');
    await cgroups.freeze(paths, true);
    assert.equal(await textOf(root, 'freezer/sampan-t/one/freezer.state'), 'FROZEN');
    assert.deepEqual([await cgroups.cpuNanos(paths), await cgroups.memoryBytes(paths)], [77n, 4096]);
    assert.equal(existsSync(join(root, 'memory/sampan-t/one/memory.max')), false);
  }));

test('version 2: the controllers there are go down to the machine, and the limits have their newer names', () =>
  inDirectory(async (root) => {
    await fill(root, { 'cgroup.controllers': 'cpuset cpu io memory hugetlb pids\n', 'cgroup.subtree_control': '' });
    await fill(join(root, 'sampan-t'), { 'cgroup.controllers': 'cpu memory pids\n', 'cgroup.subtree_control': '' });
    await fill(join(root, 'sampan-t/one'), {
      ...{ 'memory.max': '', 'cpu.max': '', 'cpu.weight': '', 'cgroup.freeze': '' },
      ...{ 'cpu.stat': 'usage_usec 12\nuser_usec 3\n', 'memory.current': '8192\n' },
    });
    const cgroups = await MachineCgroups.open('t', `cgroup2 ${root} cgroup2 rw 0 0\n`);
    assert.equal(await textOf(root, 'cgroup.subtree_control'), '+cpu +memory +pids +io +cpuset');
    assert.equal(await textOf(root, 'sampan-t/cgroup.subtree_control'), '+cpu +memory +pids');
    const paths = cgroups.paths('one');
    await cgroups.limit(paths, { memoryBytes: 1 << 20, millicores: 1500 });
    assert.equal(await textOf(root, 'sampan-t/one/memory.max'), '1048576');
    assert.equal(await textOf(root, 'sampan-t/one/cpu.max'), '150000 100000');
    assert.equal(await textOf(root, 'sampan-t/one/cpu.weight'), '150');
    await cgroups.freeze(paths, true);
    assert.equal(await textOf(root, 'sampan-t/one/cgroup.freeze'), '1');
    assert.deepEqual([await cgroups.cpuNanos(paths), await cgroups.memoryBytes(paths)], [12_000n, 8192]);
  }));

test('beneath a parent of version 1 each level has CPUs, and what its maker did not make is the instance’s own', () =>
  inDirectory(async (root) => {
    const cpus = { 'cpuset.cpus': '0-3\n', 'cpuset.mems': '0\n' };
    await fill(join(root, 'memory/kubepods/pod1'), { 'memory.limit_in_bytes': '' });
    await fill(join(root, 'memory'), { 'memory.limit_in_bytes': '' });
    await fill(join(root, 'cpuset'), cpus);
    const blank = { 'cpuset.cpus': '\n', 'cpuset.mems': '\n' };
    for (const level of ['kubepods', 'kubepods/pod1', 'kubepods/pod1/sampan-t-one'])
      await fill(join(root, 'cpuset', level), blank);
    await mkdir(join(root, 'freezer'));
    const mounts = ['memory', 'cpuset', 'freezer'].map((name) => `cgroup ${root}/${name} cgroup rw,${name} 0 0\n`);
    const cgroups = await MachineCgroups.open('t', mounts.join(''));
    const paths = cgroups.paths('one', { path: '/kubepods/pod1', isOwn: false });
    assert.deepEqual(paths, [
      join(root, 'memory/kubepods/pod1/sampan-t-one'),
      join(root, 'cpuset/kubepods/pod1/sampan-t-one'),
      join(root, 'freezer/sampan-t/one'),
    ]);
    await cgroups.create(paths);
    for (const level of ['kubepods', 'kubepods/pod1', 'kubepods/pod1/sampan-t-one'])
      assert.equal(await textOf(root, 'cpuset', level, 'cpuset.cpus'), '0-3', level);
  }));

test('controllers split between the versions are told by name', () =>
  inDirectory(async (root) => {
    await fill(join(root, 'unified'), { 'cgroup.controllers': 'memory io\n' });
    const mounts = `cgroup ${root}/cpu cgroup rw,cpu 0 0\ncgroup2 ${root}/unified cgroup2 rw 0 0\n`;
    await assert.rejects(MachineCgroups.open('t', mounts), {
      reason: 'FailedPrecondition',
      message: /split between version 1 and version 2 \(.*unified has memory io\)/,
    });
  }));

test('a host that lets us make no groups is refused with the reason', async () => {
  await assert.rejects(MachineCgroups.open('t', ''), { reason: 'FailedPrecondition', message: /control groups/ });
});

test('a process somewhere below a group is one that lives in it', () =>
  inDirectory(async (root) => {
    await fill(join(root, 'a/b'), { 'cgroup.procs': '' });
    await fill(join(root, 'a'), { 'cgroup.procs': '' });
    assert.deepEqual([await isInhabited(join(root, 'a')), await isInhabited(join(root, 'none'))], [false, false]);
    await fill(join(root, 'a/b'), { 'cgroup.procs': '77\n' });
    assert.equal(await isInhabited(join(root, 'a')), true);
  }));

test("of a container's group only what counts is made before it, for what stands for it to be beside it", () =>
  inDirectory(async (root) => {
    await fill(join(root, 'memory'), { 'memory.limit_in_bytes': '' });
    await fill(join(root, 'cpuacct'), { 'cpuacct.usage': '' });
    const mounts = ['memory', 'cpuacct'].map((name) => `cgroup ${root}/${name} cgroup rw,${name} 0 0\n`);
    const cgroups = await MachineCgroups.open('t', mounts.join(''));
    const paths = cgroups.placesAt('/a/b');
    assert.deepEqual(paths, [join(root, 'memory/a/b'), join(root, 'cpuacct/a/b')]);
    await cgroups.makeCounter(paths);
    assert.deepEqual(paths.map(existsSync), [false, true]);
    await fill(paths[1]!, { 'cgroup.procs': '' });
    await cgroups.countBeside(4711, paths);
    assert.equal(await textOf(paths[1]!, 'cgroup.procs'), '4711');
    assert.equal(cgroups.nameOf('one'), '/sampan-t/one');
  }));
