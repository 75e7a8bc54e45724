import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mountOf } from './shared-mounts.ts';

const table = `21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
30 21 0:20 / /srv rw shared:7 - tmpfs none rw
31 30 0:21 / /srv/a\\040b rw master:7 - tmpfs none rw
32 30 0:22 / /srv/top rw shared:9 - tmpfs none rw
33 32 0:23 / /srv/top rw master:9 shared:11 - tmpfs none rw
`;

test('a path is in the deepest mount that holds it, the topmost of several, and mounts tell whether they are shared', () => {
  const of = (path: string) => Object.values(mountOf(path, table));
  assert.deepEqual(of('/etc'), ['/', false]);
  assert.deepEqual(of('/srvx'), ['/', false]);
  assert.deepEqual(of('/srv/data'), ['/srv', true]);
  assert.deepEqual(of('/srv/a b/c'), ['/srv/a b', false]);
  assert.deepEqual(of('/srv/top'), ['/srv/top', true]);
});
