import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { isReason } from '@sampan/api/errors.ts';
import { findGuestArtifacts, holdGuestArtifacts } from './guest-artifacts.ts';

test('the artifacts are found behind a link, by their real names, and what is missing is named', async () => {
  const root = await mkdtemp(join(tmpdir(), 'sampan-guest-'));
  try {
    const real = join(root, 'v1');
    await mkdir(real);
    await symlink('v1', join(root, 'current'));
    for (const name of ['vmlinuz', 'initrd.img', 'rootfs.erofs']) await writeFile(join(real, name), 'x');
    const missing = (name: RegExp) => (error: unknown) =>
      isReason(error, 'FailedPrecondition') && name.test(error.message);
    await assert.rejects(findGuestArtifacts(join(root, 'current')), missing(/version.*guest\/build\.sh/));
    await writeFile(join(real, 'version'), 'abc\n');
    assert.deepEqual(await findGuestArtifacts(join(root, 'current')), {
      kernelPath: join(real, 'vmlinuz'),
      initrdPath: join(real, 'initrd.img'),
      rootfsPath: join(real, 'rootfs.erofs'),
      agentPath: join(real, 'agent'),
      version: 'abc',
    });
    await writeFile(join(real, 'initrd.img'), '');
    await assert.rejects(findGuestArtifacts(real), missing(/initrd\.img/));
    await assert.rejects(findGuestArtifacts(join(root, 'nowhere')), missing(/nowhere/));
  } finally {
    await rm(root, { recursive: true });
  }
});

test('a build that a server boots from stays when older ones are cleared away', async () => {
  const root = await mkdtemp(join(tmpdir(), 'sampan-guest-'));
  try {
    const builds = ['a', 'b', 'c', 'd', 'e'].map((letter) => `${letter.repeat(16)}-01234567`);
    for (const [age, build] of builds.entries()) {
      await mkdir(join(root, build));
      await utimes(join(root, build), 1000 - age, 1000 - age);
    }
    await symlink(builds[3]!, join(root, 'of-a-build-that-goes'));
    const held = join(root, builds[4]!);
    holdGuestArtifacts({
      kernelPath: '',
      initrdPath: '',
      rootfsPath: join(held, 'rootfs.erofs'),
      agentPath: '',
      version: '',
    });
    await promisify(execFile)('sh', [join(import.meta.dirname, '../../../guest/clear-builds.sh'), root]);
    assert.deepEqual((await readdir(root)).sort(), [...builds.slice(0, 3), builds[4]]);
  } finally {
    await rm(root, { recursive: true });
  }
});
