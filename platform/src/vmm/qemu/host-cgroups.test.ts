import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../base/clock.ts';
import { HostCgroups } from './host-cgroups.ts';

async function withRoot(body: (root: string) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'sampan-cgroups-'));
  try {
    await body(root);
  } finally {
    await rm(root, { recursive: true });
  }
}

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

test('version 2: one cgroup, controllers enabled on the way, limits in version 2’s units', () =>
  withRoot(async (root) => {
    await control(root, 'cgroup.controllers', 'cgroup.subtree_control');
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

test('a host without usable cgroups gives no paths and says why', () =>
  withRoot(async (root) => {
    const none = await HostCgroups.open('ab12cd', root);
    assert.match(none.unavailable ?? '', /no cpu or memory/);
    assert.deepEqual(none.paths('m'), []);
    await control(root, 'cgroup.controllers');
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
    await cgroups.remove(paths, systemClock);
    await cgroups.remove(paths, systemClock);
    await cgroups.removeParents();
    assert.equal(existsSync(join(root, 'cpu/sampan-ab12cd')), false);
  }));
