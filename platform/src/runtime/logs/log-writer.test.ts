import assert from 'node:assert/strict';
import { appendFile, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { OutputChunk } from '../agent/agent.ts';
import { findResumePoint } from './log-resume.ts';
import { LogWriter } from './log-writer.ts';

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sampan-log-'));
});
after(() => rm(directory, { recursive: true, force: true }));

const chunk = (stream: 'stdout' | 'stderr', offset: number, text: string): OutputChunk => ({
  stream,
  offset: BigInt(offset),
  timeUnixNanos: 1n,
  data: Buffer.from(text),
});
const contents = async (path: string) =>
  (await readFile(path, 'utf8'))
    .split('\n')
    .slice(0, -1)
    .map((line) => line.split(' ').slice(1).join(' '));

test('lines are written when they are whole, and only what is written counts as such', async () => {
  const path = join(directory, 'whole', '0.log');
  const writer = new LogWriter(path);
  await writer.open();
  await writer.write(chunk('stdout', 0, 'one\ntw'));
  assert.deepEqual(writer.written, { stdout: 4n, stderr: 0n });
  await writer.write(chunk('stderr', 0, 'e\n'));
  await writer.write(chunk('stdout', 6, 'o\nend'));
  await writer.end();
  assert.deepEqual(writer.written, { stdout: 11n, stderr: 2n });
  assert.deepEqual(await contents(path), ['stdout F one', 'stderr F e', 'stdout F two', 'stdout P end']);
  await writer.close();
});

test('bytes that come again are written once', async () => {
  const path = join(directory, 'again.log');
  const writer = new LogWriter(path);
  await writer.open();
  await writer.write(chunk('stdout', 0, 'one\ntwo'));
  await writer.write(chunk('stdout', 0, 'one\ntwo\nthree\n'));
  await writer.write(chunk('stdout', 4, 'two\n'));
  assert.deepEqual(await contents(path), ['stdout F one', 'stdout F two', 'stdout F three']);
  await writer.close();
});

test('after a kill the log itself says where to go on, and a torn entry is cut off', async () => {
  const path = join(directory, 'killed.log');
  const writer = new LogWriter(path);
  const base = (await writer.open())!;
  await writer.write(chunk('stdout', 0, 'one\ntwo\nunfinished'));
  await writer.write(chunk('stderr', 0, 'oops\n'));
  await writer.close();
  await appendFile(path, '2023-11-14T22:13:20.1Z stdout F to');
  const point = await findResumePoint(path, base);
  assert.deepEqual(point, { stdout: 8n, stderr: 5n });
  assert.deepEqual(await contents(path), ['stdout F one', 'stdout F two', 'stderr F oops']);
});

test('rotation, restart, rotation: offsets go on over all files', async () => {
  const path = join(directory, 'rotated.log');
  const first = new LogWriter(path);
  await first.open();
  await first.write(chunk('stdout', 0, 'aaa\n'));
  await rename(path, `${path}.20240101-000000`);
  const base = (await first.open())!;
  await first.write(chunk('stdout', 4, 'bb\n'));
  await first.close();
  // Renamed again, and killed before it could be reopened.
  await rename(path, `${path}.20240102-000000`);
  const point = (await findResumePoint(path, base))!;
  assert.deepEqual(point, { stdout: 7n, stderr: 0n });
  const second = new LogWriter(path, point);
  const next = (await second.open())!;
  await second.write(chunk('stdout', 7, 'c\n'));
  await second.close();
  assert.deepEqual(await findResumePoint(path, next), { stdout: 9n, stderr: 0n });
  assert.deepEqual(await contents(path), ['stdout F c']);
});

test('a restarted writer of the same file knows what the file held before', async () => {
  const path = join(directory, 'same.log');
  const first = new LogWriter(path);
  const base = (await first.open())!;
  await first.write(chunk('stdout', 0, 'aaa\n'));
  await first.close();
  const second = new LogWriter(path, await findResumePoint(path, base));
  const again = (await second.open())!;
  assert.deepEqual(again, base);
  await second.write(chunk('stdout', 4, 'b\n'));
  await second.close();
  assert.deepEqual(await findResumePoint(path, again), { stdout: 6n, stderr: 0n });
});

test('a log that is gone has no resume point; without a path everything counts as written', async () => {
  assert.equal(await findResumePoint(join(directory, 'none.log'), { inode: 1, stdout: 0n, stderr: 0n }), undefined);
  const writer = new LogWriter('');
  assert.equal(await writer.open(), undefined);
  await writer.write(chunk('stdout', 0, 'x\n'));
  assert.equal(writer.written.stdout, 2n);
});
