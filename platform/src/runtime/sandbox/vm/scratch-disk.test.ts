import assert from 'node:assert/strict';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { run } from '../../../base/child.ts';
import { ScratchDisks } from './scratch-disk.ts';

const mib = 1024 * 1024;
let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sampan-scratch-'));
});
after(() => rm(directory, { recursive: true, force: true }));

test('a scratch disk is a sound ext4 of the size asked for, and takes next to no space', async () => {
  const disks = new ScratchDisks(directory);
  const path = await disks.create('a'.repeat(64), 300 * mib);
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
  await run('fsck.ext4', ['-fn', path], { env });
  const { stdout } = await run('dumpe2fs', ['-h', path], { env });
  const free = Number(/Free blocks:\s+(\d+)/.exec(stdout)?.[1]) * 4096;
  assert.ok(free >= 300 * mib, `${free} bytes are free`);
  assert.ok(!/has_journal/.test(stdout));
  assert.ok((await stat(path)).blocks * 512 < 2 * mib);
});

test('disks are listed by sandbox, half-written ones are swept away, removing is idempotent', async () => {
  const disks = new ScratchDisks(directory);
  await disks.create('b'.repeat(64), 64 * mib);
  await writeFile(join(directory, 'x.ext4.1234.tmp'), 'half');
  assert.ok((await disks.list()).includes('b'.repeat(64)));
  await assert.rejects(stat(join(directory, 'x.ext4.1234.tmp')), { code: 'ENOENT' });
  await disks.remove('b'.repeat(64));
  await disks.remove('b'.repeat(64));
  assert.ok(!(await disks.list()).includes('b'.repeat(64)));
});

test('two disks of one size are apart', async () => {
  const disks = new ScratchDisks(directory);
  const [one, two] = await Promise.all([
    disks.create('c'.repeat(64), 64 * mib),
    disks.create('d'.repeat(64), 64 * mib),
  ]);
  await writeFile(one, Buffer.alloc(4096, 7), { flag: 'r+' });
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
  await run('fsck.ext4', ['-fn', two], { env });
});
