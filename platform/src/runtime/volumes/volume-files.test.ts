import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { readVolume } from './volume-files.ts';

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sampan-volume-'));
});
after(() => rm(directory, { recursive: true, force: true }));

test('AtomicWriter’s layout is read through its link: names, modes, nested paths', async () => {
  const root = join(directory, 'atomic');
  await mkdir(join(root, '..2024_01', 'sub'), { recursive: true });
  await writeFile(join(root, '..2024_01', 'key'), 'value', { mode: 0o400 });
  await writeFile(join(root, '..2024_01', 'sub', 'deep'), 'x', { mode: 0o644 });
  await symlink('..2024_01', join(root, '..data'));
  await symlink('..data/key', join(root, 'key'));
  await symlink('..data/sub', join(root, 'sub'));
  const { files, dataTarget } = await readVolume(root);
  assert.equal(dataTarget, '..2024_01');
  const found = files.map(({ path, type, mode, content }) => [path, type, mode & 0o777, content && atob(content)]);
  assert.deepEqual(found.sort(), [
    ['key', 'file', 0o400, 'value'],
    ['sub', 'dir', 0o755, undefined],
    ['sub/deep', 'file', 0o644, 'x'],
  ]);
});

test('a plain directory is read as it stands, links stay links', async () => {
  const root = join(directory, 'plain');
  await mkdir(root);
  await writeFile(join(root, 'file'), 'content');
  await symlink('/etc/shadow', join(root, 'link'));
  const { files, dataTarget } = await readVolume(root);
  assert.equal(dataTarget, undefined);
  const link = files.find(({ path }) => path === 'link');
  assert.deepEqual([link?.type, link?.target, link?.content], ['symlink', '/etc/shadow', undefined]);
});

test('more than 8 MiB is refused by name, as is a volume that is not there', async () => {
  const root = join(directory, 'big');
  await mkdir(root);
  await writeFile(join(root, 'file'), '');
  await truncate(join(root, 'file'), 9 * 1024 * 1024);
  await assert.rejects(readVolume(root), { reason: 'Invalid', message: /8 MiB/ });
  await assert.rejects(readVolume(join(directory, 'none')), { reason: 'NotFound' });
});
