import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cgroupParentOf } from './cgroup-parent.ts';

test('a parent is a path in the hierarchies, however it is written', () => {
  assert.equal(cgroupParentOf(undefined), undefined);
  for (const nothing of ['', '/', '//']) assert.equal(cgroupParentOf({ cgroupParent: nothing }), undefined);
  const path = '/kubepods/besteffort/pod1';
  assert.deepEqual(cgroupParentOf({ cgroupParent: path }), { path, isOwn: false });
  assert.equal(cgroupParentOf({ cgroupParent: 'kubepods//pod1/' })?.path, '/kubepods/pod1');
});

test('what is no path is refused', () => {
  for (const bad of ['/a/../b', '/..', './a', '/a\nb', '/a b', `/${'a'.repeat(256)}`, '/a'.repeat(600)])
    assert.throws(() => cgroupParentOf({ cgroupParent: bad }), { reason: 'Invalid', message: /no path of a control/ });
});

test("a slice of systemd's is refused by name", () => {
  for (const slice of ['kubepods-besteffort-pod1.slice', '/kubepods.slice/kubepods-pod1.slice'])
    assert.throws(() => cgroupParentOf({ cgroupParent: slice }), { reason: 'Unsupported', message: /slice.*cgroupfs/ });
});
