import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, rmdir, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FakeClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { HostCgroups } from './host-cgroups.ts';

async function withRoot(body: (root: string) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'sampan-cgroups-'));
  try {
    await body(root);
  } finally {
    await rm(root, { recursive: true });
  }
}

const host = { clock: new FakeClock(), log: silentLogger };

/** The kernel makes these files; a plain directory does not. */
const control = (path: string, ...names: string[]) => Promise.all(names.map((name) => writeFile(join(path, name), '')));

test('version 1: one cgroup a hierarchy, shared hierarchies once, limits in version 1’s units', () =>
  withRoot(async (root) => {
    await Promise.all(['cpu,cpuacct', 'memory', 'unified'].map((name) => mkdir(join(root, name))));
    await symlink('cpu,cpuacct', join(root, 'cpu'));
    await symlink('cpu,cpuacct', join(root, 'cpuacct'));
    const cgroups = await HostCgroups.open('ab12cd', root);
    assert.equal(cgroups.unavailable, undefined);
    const paths = cgroups.paths('m');
    assert.deepEqual(paths, [join(root, 'cpu,cpuacct/sampan-ab12cd/m'), join(root, 'memory/sampan-ab12cd/m')]);
    await cgroups.create(paths);
    await cgroups.create(paths);
    await control(paths[0]!, 'cpu.shares', 'cpu.cfs_quota_us', 'cpuacct.usage');
    await control(paths[1]!, 'memory.limit_in_bytes');
    await cgroups.setWeight(paths, 500);
    await cgroups.setCpuLimit(paths, 1500);
    await cgroups.setMemoryLimit(paths, 123);
    const read = (index: number, file: string) => readFile(join(paths[index]!, file), 'utf8');
    assert.equal(await read(0, 'cpu.shares'), '512');
    assert.equal(await read(0, 'cpu.cfs_quota_us'), '150000');
    assert.equal(await read(1, 'memory.limit_in_bytes'), '123');
    await writeFile(join(paths[0]!, 'cpuacct.usage'), '42\n');
    assert.equal(await cgroups.cpuNanos(paths), 42n);
    await control(paths[0]!, 'cpu.cfs_quota_us');
    await cgroups.setCpuLimit(paths, 1);
    assert.equal(await read(0, 'cpu.cfs_quota_us'), '1000', 'the kernel takes no smaller quota');
  }));

/** As in a group of version 2 with these controllers, none of them handed on yet. */
const controllers = async (path: string, names: string) => {
  await mkdir(path, { recursive: true });
  await writeFile(join(path, 'cgroup.controllers'), `${names}\n`);
  await control(path, 'cgroup.subtree_control');
};

test('version 2: one cgroup, controllers enabled on the way, limits in version 2’s units', () =>
  withRoot(async (root) => {
    for (const path of [root, join(root, 'sampan-ab12cd')]) await controllers(path, 'cpuset cpu io memory');
    const cgroups = await HostCgroups.open('ab12cd', root);
    assert.equal(cgroups.unavailable, undefined);
    for (const path of [root, join(root, 'sampan-ab12cd')])
      assert.equal(await readFile(join(path, 'cgroup.subtree_control'), 'utf8'), '+cpu +memory');
    const paths = cgroups.paths('m');
    assert.deepEqual(paths, [join(root, 'sampan-ab12cd/m')]);
    await cgroups.create(paths);
    await control(paths[0]!, 'cpu.weight', 'cpu.max', 'memory.max');
    await writeFile(join(paths[0]!, 'cpu.stat'), 'usage_usec 7\nuser_usec 5\n');
    await cgroups.setWeight(paths, 2000);
    await cgroups.setCpuLimit(paths, 250);
    await cgroups.setMemoryLimit(paths, 99);
    const read = (file: string) => readFile(join(paths[0]!, file), 'utf8');
    assert.deepEqual(
      [await read('cpu.weight'), await read('cpu.max'), await read('memory.max')],
      ['200', '25000 100000', '99'],
    );
    assert.equal(await cgroups.cpuNanos(paths), 7000n);
  }));

test('version 2: beneath a parent each group on the way hands its controllers on', () =>
  withRoot(async (root) => {
    for (const path of [root, join(root, 'sampan-t'), join(root, 'kubepods'), join(root, 'kubepods/pod1')])
      await controllers(path, 'cpu memory pids');
    const cgroups = await HostCgroups.open('t', root);
    const paths = cgroups.paths('m', { path: '/kubepods/pod1', isOwn: false });
    assert.deepEqual(paths, [join(root, 'kubepods/pod1/sampan-t-m')]);
    await cgroups.create(paths);
    assert.equal(await readFile(join(root, 'kubepods/pod1/cgroup.subtree_control'), 'utf8'), '+cpu +memory +pids');
    await writeFile(join(root, 'kubepods/pod1/memory.max'), 'max\n');
    assert.equal(await cgroups.memoryAbove(paths), undefined);
    await writeFile(join(root, 'kubepods/pod1/memory.max'), '4096\n');
    assert.equal(await cgroups.memoryAbove(paths), 4096);
    assert.deepEqual(cgroups.paths('m'), [join(root, 'sampan-t/m')]);
  }));

test('version 1: a hierarchy that the parent is not in keeps the instance’s own; one that is nowhere is made in all', () =>
  withRoot(async (root) => {
    for (const name of ['cpu', 'memory', 'pids']) await mkdir(join(root, name));
    await mkdir(join(root, 'memory/kubepods/pod1'), { recursive: true });
    const cgroups = await HostCgroups.open('t', root);
    assert.deepEqual(cgroups.paths('m', { path: '/kubepods/pod1', isOwn: false }), [
      join(root, 'cpu/sampan-t/m'),
      join(root, 'memory/kubepods/pod1/sampan-t-m'),
      join(root, 'pids/sampan-t/m'),
    ]);
    const nowhere = cgroups.paths('m', { path: '/elsewhere', isOwn: false });
    assert.deepEqual(
      nowhere,
      ['cpu', 'memory', 'pids'].map((name) => join(root, name, 'elsewhere/sampan-t-m')),
    );
    await cgroups.create(nowhere);
    await cgroups.remove(nowhere, host);
    assert.deepEqual([existsSync(nowhere[0]!), existsSync(join(root, 'cpu/elsewhere'))], [false, true]);
  }));

test('controllers split between the versions: each limit goes to the hierarchy that has it', () =>
  withRoot(async (root) => {
    await Promise.all(['cpu', 'pids'].map((name) => mkdir(join(root, name))));
    for (const path of [join(root, 'unified'), join(root, 'unified/sampan-t')]) await controllers(path, 'io memory');
    const cgroups = await HostCgroups.open('t', root);
    assert.equal(cgroups.unavailable, undefined);
    assert.equal(await readFile(join(root, 'unified/cgroup.subtree_control'), 'utf8'), '+memory');
    const paths = cgroups.paths('m');
    assert.deepEqual(
      paths,
      ['cpu', 'pids', 'unified'].map((name) => join(root, name, 'sampan-t/m')),
    );
    await cgroups.create(paths);
    await control(paths[0]!, 'cpu.cfs_quota_us');
    await control(paths[2]!, 'memory.max');
    await cgroups.setCpuLimit(paths, 500);
    await cgroups.setMemoryLimit(paths, 99);
    assert.equal(await readFile(join(paths[0]!, 'cpu.cfs_quota_us'), 'utf8'), '50000');
    assert.equal(await readFile(join(paths[2]!, 'memory.max'), 'utf8'), '99');
    await rm(join(root, 'cpu'), { recursive: true });
    assert.match((await HostCgroups.open('t', root)).unavailable ?? '', /no hierarchy in .* has cpu/);
  }));

test('a host without usable cgroups gives no paths and says why', () =>
  withRoot(async (root) => {
    const none = await HostCgroups.open('ab12cd', root);
    assert.match(none.unavailable ?? '', /no cpu or memory/);
    assert.deepEqual(none.paths('m'), []);
    await writeFile(join(root, 'cgroup.controllers'), 'cpu memory\n');
    await mkdir(join(root, 'cgroup.subtree_control'));
    const refused = await HostCgroups.open('ab12cd', root);
    assert.ok(refused.unavailable);
    assert.deepEqual(refused.paths('m'), []);
  }));

test('removing is idempotent and takes the instance’s empty directories along when asked', () =>
  withRoot(async (root) => {
    await mkdir(join(root, 'cpu'));
    const cgroups = await HostCgroups.open('ab12cd', root);
    const paths = cgroups.paths('m');
    await cgroups.create(paths);
    await cgroups.removeParents();
    assert.ok(existsSync(paths[0]!), 'a cgroup in use stays');
    await cgroups.remove(paths, host);
    await cgroups.remove(paths, host);
    await cgroups.removeParents();
    assert.equal(existsSync(join(root, 'cpu/sampan-ab12cd')), false);
  }));

test('a cgroup that stays is told of, and the next start takes what was left of machines that are gone', () =>
  withRoot(async (root) => {
    await mkdir(join(root, 'cpu'));
    const paths = (await HostCgroups.open('ab12cd', root)).paths('m');
    await mkdir(join(paths[0]!, 'beneath'), { recursive: true });
    const told: object[] = [];
    const log = { ...silentLogger, warn: (fields: object) => told.push(fields) };
    await (await HostCgroups.open('ab12cd', root)).remove(paths, { ...host, log });
    assert.deepEqual(told, [{ path: paths[0], code: 'ENOTEMPTY' }]);
    assert.ok(existsSync(paths[0]!), 'one that is not empty stays over a start, too');
    await rmdir(join(paths[0]!, 'beneath'));
    await HostCgroups.open('ab12cd', root);
    assert.equal(existsSync(paths[0]!), false);
  }));

/** KVM's thread for a machine is the kernel's: in version 1 it is in the groups of whoever made the machine, and is no thread of that process. */
test('a machine that moves leaves nobody behind, so that what it was in can go', () =>
  withRoot(async (root) => {
    await mkdir(join(root, 'cpu'));
    await mkdir(join(root, 'memory'));
    const cgroups = await HostCgroups.open('ab12cd', root);
    const [from, to] = [cgroups.paths('parked'), cgroups.paths('machine')];
    await cgroups.create([...from, ...to]);
    for (const path of from) await writeFile(join(path, 'cgroup.procs'), '7001\n');
    await cgroups.move(7000, { from, to });
    // A plain file keeps what was written last: after the process itself, who was left.
    const written = await Promise.all(to.map((path) => readFile(join(path, 'cgroup.procs'), 'utf8')));
    assert.deepEqual(written, ['7001', '7001']);
  }));
