import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { FakeClock, systemClock } from '../../base/clock.ts';
import type { InputEnd } from './fifo-input.ts';
import { openInput } from './stdio-ends.ts';

let directory: string;
let path: string;
let count = 0;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fifo-'));
});
after(() => rm(directory, { recursive: true, force: true }));
beforeEach(() => {
  path = join(directory, `fifo${count++}`);
  execFileSync('mkfifo', [path]);
});

async function everything(input: InputEnd | undefined): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const piece of input!.chunks()) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

/** A client that opens, writes and closes, and waits in open(2) for its reader. */
async function write(text: string): Promise<void> {
  const file = await open(path, 'w');
  await file.writeFile(text);
  await file.close();
}

test("a client's first write waits until the input is read: what it says of its end comes after its process is there", async () => {
  const input = await openInput(path, { clock: systemClock });
  let written = false;
  const writing = write('early\n').then(() => {
    written = true;
  });
  await systemClock.sleep(100);
  assert.equal(written, false);
  assert.equal(await everything(input), 'early\n');
  await writing;
});

test('the input of one client ends when that client leaves, though nobody says that it is over', async () => {
  const input = await openInput(path, { clock: systemClock });
  const writing = write('x'.repeat(300_000));
  assert.equal((await everything(input)).length, 300_000);
  await writing;
});

test('a client that never comes is waited for five seconds, or until its input is said to be over', async () => {
  const clock = new FakeClock();
  const never = await openInput(path, { clock });
  const reading = everything(never);
  for (let past = 0; past < 5_100; past += 20) {
    await clock.advance(20);
  }
  assert.equal(await reading, '');
  const finished = await openInput(path, { clock: new FakeClock() });
  await finished!.finish();
  assert.equal(await everything(finished), '');
});

test('without a clock it is held open from one client to the next, until finish', async () => {
  const input = await openInput(path);
  const reading = everything(input);
  await write('one ');
  await write('two');
  await systemClock.sleep(50);
  await input!.finish();
  assert.equal(await reading, 'one two');
});

test('close ends it at any time, and a path that was taken away is an end', async () => {
  const open = await openInput(path);
  const reading = everything(open);
  await systemClock.sleep(20);
  await open!.close();
  assert.equal(await reading, '');
  const gone = await openInput(path, { clock: systemClock });
  await rm(path);
  assert.equal(await everything(gone), '');
});
