import assert from 'node:assert/strict';
import { test } from 'node:test';
import { containerCgroup, bundleCgroup as groupOf, podCgroup } from './cgroup-path.ts';
import { parseOciConfig } from './oci-config.ts';

const bundleCgroup = (cgroupsPath?: string) => groupOf({ cgroupsPath, handler: 'vm', usual: [] });

test("a bundle's group is made for its machine, and no other", () => {
  assert.deepEqual(bundleCgroup('/default/web'), { path: '/default/web', isOwn: true });
  assert.deepEqual(bundleCgroup('libpod_parent//libpod-1/'), { path: '/libpod_parent/libpod-1', isOwn: true });
  for (const none of [undefined, '', '/']) assert.equal(bundleCgroup(none), undefined);
});

test("a slice of systemd's is a place, and not ours to make or remove", () => {
  const place = { path: '/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1.slice', isOwn: false };
  assert.deepEqual(bundleCgroup('kubepods-besteffort-pod1.slice:cri-containerd:0123'), place);
  assert.deepEqual(podCgroup('kubepods-besteffort-pod1.slice'), place);
  assert.deepEqual(podCgroup('/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1.slice'), place);
  assert.deepEqual(bundleCgroup('machine.slice:libpod:0123'), { path: '/machine.slice', isOwn: false });
  assert.equal(bundleCgroup(':libpod:0123'), undefined);
  assert.equal(bundleCgroup('-.slice:libpod:0123'), undefined, 'the root of all slices');
});

test("a Pod's group is its maker's", () => {
  assert.deepEqual(podCgroup('/kubepods/pod1'), { path: '/kubepods/pod1', isOwn: false });
});

test('what is no path of a group is refused by name', () => {
  for (const path of ['/a/../b', '/a/./b', '/a b', `/${'x'.repeat(256)}`, '/a\nb', `${'/x'.repeat(600)}`])
    assert.throws(() => bundleCgroup(path), { reason: 'Invalid', message: /linux\.cgroupsPath/ }, path);
});

test('a machine on the host that is only said to be where all of an engine are is in no group but its own', () => {
  const usual = ['/libpod_parent/libpod-1', 'machine.slice:libpod:1'];
  for (const cgroupsPath of usual) {
    assert.equal(groupOf({ cgroupsPath, handler: 'namespace', usual }), undefined);
    assert.equal(groupOf({ cgroupsPath, handler: 'vm', usual })?.isUsual, true);
  }
  const other = groupOf({ cgroupsPath: '/libpod_parent/libpod-2', handler: 'namespace', usual });
  assert.deepEqual(other, { path: '/libpod_parent/libpod-2', isOwn: true, isContainers: true });
});

test("a container alone on the host has the group that it names to itself; a Pod's machine, a virtual machine and a slice have not", () => {
  const of = (cgroupsPath: string) =>
    parseOciConfig(JSON.stringify({ ociVersion: '1.0.2', process: {}, linux: { cgroupsPath } }));
  const place = groupOf({ cgroupsPath: 'a/b', handler: 'namespace', usual: [] });
  assert.equal(containerCgroup(of('/a/b/'), place), '/a/b');
  assert.equal(containerCgroup(of('/a/c'), place), undefined, 'one that comes into its machine later');
  for (const other of [
    groupOf({ cgroupsPath: '/a/b', handler: 'namespace', usual: [], isPods: true }),
    groupOf({ cgroupsPath: '/a/b', handler: 'vm', usual: [] }),
    groupOf({ cgroupsPath: 'a.slice:x:b', handler: 'namespace', usual: [] }),
  ])
    assert.deepEqual([other?.isContainers, containerCgroup(of('/a/b'), other)], [undefined, undefined]);
});
