import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bundleCgroup as groupOf, podCgroup } from './cgroup-path.ts';

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
  assert.deepEqual(other, { path: '/libpod_parent/libpod-2', isOwn: true });
});
