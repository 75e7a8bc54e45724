import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isReason } from '@sampan/api/errors.ts';
import { findGuestArtifacts } from './guest-artifacts.ts';

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
