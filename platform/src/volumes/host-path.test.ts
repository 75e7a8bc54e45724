import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { checkHostPath, hostPathOf } from './host-path.ts';

let root: string;
let socket: Server;
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'sampan-host-path-'));
  await mkdir(join(root, 'directory'));
  await writeFile(join(root, 'file'), 'kept');
  socket = createServer().listen(join(root, 'socket'));
  await once(socket, 'listening');
});
after(async () => {
  socket.close();
  await rm(root, { recursive: true });
});

test('what a type promises is checked, with kubelet’s words', async () => {
  for (const [type, name] of [
    ['Directory', 'directory'],
    ['DirectoryOrCreate', 'directory'],
    ['File', 'file'],
    ['FileOrCreate', 'file'],
    ['Socket', 'socket'],
    ['', 'nothing'],
    [undefined, 'nothing'],
  ] as const)
    await checkHostPath({ path: join(root, name), ...(type === undefined ? {} : { type }) });
  for (const [type, name, word] of [
    ['Directory', 'file', 'directory'],
    ['Directory', 'nothing', 'directory'],
    ['DirectoryOrCreate', 'file', 'directory'],
    ['File', 'directory', 'file'],
    ['File', 'nothing', 'file'],
    ['FileOrCreate', 'directory', 'file'],
    ['Socket', 'file', 'socket file'],
    ['Socket', 'nothing', 'socket file'],
    ['CharDevice', 'socket', 'character device'],
    ['BlockDevice', 'file', 'block device'],
  ] as const) {
    const path = join(root, name);
    await assert.rejects(checkHostPath({ path, type }), {
      reason: 'FailedPrecondition',
      message: `hostPath type check failed: ${path} is not a ${word}`,
    });
  }
});

test('a device is one of its own kind', async () => {
  await checkHostPath({ path: '/dev/null', type: 'CharDevice' });
  await assert.rejects(checkHostPath({ path: '/dev/null', type: 'BlockDevice' }), {
    message: 'hostPath type check failed: /dev/null is not a block device',
  });
});

test('OrCreate makes what is not there, with kubelet’s modes, and leaves alone what is', async () => {
  await checkHostPath({ path: join(root, 'a/b/'), type: 'DirectoryOrCreate' });
  assert.equal((await stat(join(root, 'a/b'))).mode & 0o777, 0o755);
  await checkHostPath({ path: join(root, 'new'), type: 'FileOrCreate' });
  assert.equal((await stat(join(root, 'new'))).mode & 0o777, 0o644);
  assert.equal((await stat(join(root, 'file'))).size, 4);
});

test('a path is told without what says nothing', () => {
  assert.equal(hostPathOf({ path: '/srv//data/./x/' }), '/srv/data/x');
  assert.equal(hostPathOf({ path: '/' }), '/');
});
