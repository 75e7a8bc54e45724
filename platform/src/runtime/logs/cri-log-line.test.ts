import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cutEntries, LogCounter, logEntry, maxPieceBytes, rfc3339Nanos } from './cri-log-line.ts';

const time = 1_700_000_000_123_456_789n;

test('times carry nanoseconds', () => {
  assert.equal(rfc3339Nanos(time), '2023-11-14T22:13:20.123456789Z');
  assert.equal(rfc3339Nanos(1_000_000_001n), '1970-01-01T00:00:01.000000001Z');
});

test('an entry names time, stream, wholeness and content', () => {
  const entry = logEntry(time, 'stderr', true, Buffer.from('hello'));
  assert.equal(entry.toString(), '2023-11-14T22:13:20.123456789Z stderr F hello\n');
});

test('bytes are cut at newlines, and what has none yet is left', () => {
  const { entries, rest } = cutEntries(Buffer.from('one\n\ntwo\nthr'));
  assert.deepEqual(
    entries.map(({ full, content }) => [full, content.toString()]),
    [
      [true, 'one'],
      [true, ''],
      [true, 'two'],
    ],
  );
  assert.equal(rest.toString(), 'thr');
});

test('a long line comes in pieces of 16 KiB, the last of them whole', () => {
  const { entries, rest } = cutEntries(Buffer.from(`${'x'.repeat(maxPieceBytes * 2 + 5)}\n`));
  assert.deepEqual(
    entries.map(({ full, content }) => [full, content.length]),
    [
      [false, maxPieceBytes],
      [false, maxPieceBytes],
      [true, 5],
    ],
  );
  assert.equal(rest.length, 0);
});

test('a line of exactly 16 KiB is one entry, and what waits is always less than that', () => {
  const line = 'y'.repeat(maxPieceBytes);
  assert.deepEqual(
    cutEntries(Buffer.from(`${line}\n`)).entries.map(({ full }) => full),
    [true],
  );
  const waiting = cutEntries(Buffer.from(line));
  assert.equal(waiting.rest.length, 0);
  assert.equal(waiting.entries.length, 1);
});

test('whatever the cuts, the entries stand for the very bytes, and the counter counts them', () => {
  let seed = 42;
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed % below;
  };
  for (let round = 0; round < 50; round++) {
    const bytes = Buffer.from(
      Array.from({ length: random(60_000) }, () => (random(4000) === 0 ? 10 : 97 + random(26))),
    );
    let held = Buffer.alloc(0);
    const file: Buffer[] = [];
    const content: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      const size = 1 + random(20_000);
      const { entries, rest } = cutEntries(Buffer.concat([held, bytes.subarray(at, at + size)]));
      for (const entry of entries) {
        file.push(logEntry(time, 'stdout', entry.full, entry.content));
        content.push(entry.content, Buffer.from(entry.full ? '\n' : ''));
      }
      held = Buffer.from(rest);
      at += size;
    }
    assert.deepEqual(Buffer.concat([...content, held]), bytes);
    const counter = new LogCounter();
    const whole = Buffer.concat(file);
    for (let at = 0; at < whole.length; at += 777) counter.add(whole.subarray(at, at + 777));
    assert.equal(counter.count.stdout, BigInt(bytes.length - held.length));
    assert.equal(counter.count.wholeBytes, whole.length);
  }
});

test('a torn last entry is not counted, nor is a line that is no entry', () => {
  const counter = new LogCounter();
  const whole = Buffer.concat([logEntry(time, 'stdout', true, Buffer.from('a b  c')), Buffer.from('scribble\n')]);
  counter.add(Buffer.concat([whole, logEntry(time, 'stdout', true, Buffer.from('torn')).subarray(0, 40)]));
  assert.deepEqual(counter.count, { stdout: 7n, stderr: 0n, wholeBytes: whole.length });
});
