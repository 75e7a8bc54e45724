import assert from 'node:assert/strict';
import { mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { findHostDevices } from './host-devices.ts';

test('a device is told by its numbers, at the place where the container wants it', async () => {
  const [found] = await findHostDevices([{ hostPath: '/dev/null', containerPath: '/dev/mine', permissions: 'r' }]);
  const { uid, gid, ...rest } = found!;
  const node = await stat('/dev/null');
  assert.deepEqual([uid, gid], [node.uid, node.gid]);
  assert.deepEqual(rest, { path: '/dev/mine', type: 'c', major: 1, minor: 3, fileMode: 0o666, access: 'r' });
});

test('of a directory the devices in it, and nothing else that stands there', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'sampan-devices-'));
  try {
    await symlink('/dev/zero', join(directory, 'zero'));
    await writeFile(join(directory, 'file'), '');
    const found = await findHostDevices([{ hostPath: directory, containerPath: '/dev/all/' }]);
    assert.deepEqual(
      found.map(({ path, minor, access }) => [path, minor, access]),
      [['/dev/all/zero', 5, 'rwm']],
    );
    await assert.rejects(findHostDevices([{ hostPath: join(directory, 'file') }]), { message: /is no device/ });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

test('what cannot be a device is refused by name', async () => {
  await assert.rejects(findHostDevices([{ hostPath: '/dev/none' }]), { reason: 'NotFound', message: /\/dev\/none/ });
  await assert.rejects(findHostDevices([{ hostPath: 'dev/null' }]), { reason: 'Invalid', message: /absolute/ });
  await assert.rejects(findHostDevices([{ hostPath: '/dev/null', permissions: 'x' }]), { reason: 'Invalid' });
});
