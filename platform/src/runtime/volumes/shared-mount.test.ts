import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mountOf } from './shared-mount.ts';

const table = `22 1 8:1 / / rw,relatime - ext4 /dev/root rw
23 22 0:21 / /mnt rw - tmpfs tmpfs rw
24 23 0:22 / /mnt/a rw shared:7 master:3 - tmpfs tmpfs rw
25 23 0:23 / /mnt/with\\040space rw shared:8 - tmpfs tmpfs rw
26 24 0:24 / /mnt/a rw master:9 - tmpfs tmpfs rw
`;

test('the mount a path stands in is the deepest one, and of those at one place the last', () => {
  assert.deepEqual(mountOf(table, '/srv/x'), { place: '/', isShared: false });
  assert.deepEqual(mountOf(table, '/mntx'), { place: '/', isShared: false });
  assert.deepEqual(mountOf(table, '/mnt/with space/x'), { place: '/mnt/with space', isShared: true });
  assert.deepEqual(mountOf(table, '/mnt/a'), { place: '/mnt/a', isShared: false });
  assert.equal(mountOf(table.split('\n').slice(0, 3).join('\n'), '/mnt/a/b')?.isShared, true);
});
