import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogCounter, logEntries, maxPieceBytes, pieceEntry, rfc3339Nanos } from './cri-log-line.ts';

const time = 1_700_000_000_123_456_789n;

test('times carry nanoseconds', () => {
  assert.equal(rfc3339Nanos(time), '2023-11-14T22:13:20.123456789Z');
  assert.equal(rfc3339Nanos(1_000_000_001n), '1970-01-01T00:00:01.000000001Z');
});

/** Kind and content of each entry, and what is left. */
function cut(bytes: Buffer): { entries: [string, string][]; rest: string } {
  const { text, taken } = logEntries(time, 'stdout', bytes);
  const lines = text.toString().split('\n').slice(0, -1);
  const entries = lines.map((line): [string, string] => [line.split(' ')[2]!, line.split(' ').slice(3).join(' ')]);
  return { entries, rest: bytes.subarray(taken).toString() };
}

test('an entry names time, stream, wholeness and content', () => {
  const { text } = logEntries(time, 'stderr', Buffer.from('hello\n'));
  assert.equal(text.toString(), '2023-11-14T22:13:20.123456789Z stderr F hello\n');
  assert.equal(
    pieceEntry(time, 'stderr', Buffer.from('hel')).toString(),
    '2023-11-14T22:13:20.123456789Z stderr P hel\n',
  );
});

test('bytes are cut at newlines, and what has none yet is left', () => {
  assert.deepEqual(cut(Buffer.from('one\n\ntwo\nthr')), {
    entries: [
      ['F', 'one'],
      ['F', ''],
      ['F', 'two'],
    ],
    rest: 'thr',
  });
});

test('a long line comes in pieces of 16 KiB, the last of them whole', () => {
  const { entries, rest } = cut(Buffer.from(`${'x'.repeat(maxPieceBytes * 2 + 5)}\n`));
  assert.deepEqual(
    entries.map(([kind, content]) => [kind, content.length]),
    [
      ['P', maxPieceBytes],
      ['P', maxPieceBytes],
      ['F', 5],
    ],
  );
  assert.equal(rest, '');
});

test('a line of exactly 16 KiB is one entry, and what waits is always less than that', () => {
  const line = 'y'.repeat(maxPieceBytes);
  assert.deepEqual(cut(Buffer.from(`${line}\n`)).entries, [['F', line]]);
  assert.deepEqual(cut(Buffer.from(line)), { entries: [['P', line]], rest: '' });
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
      const joined = Buffer.concat([held, bytes.subarray(at, at + size)]);
      const { text, taken } = logEntries(time, 'stdout', joined);
      file.push(text);
      for (const [kind, said] of cut(joined).entries) content.push(Buffer.from(kind === 'F' ? `${said}\n` : said));
      held = Buffer.from(joined.subarray(taken));
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
  const whole = Buffer.concat([logEntries(time, 'stdout', Buffer.from('a b  c\n')).text, Buffer.from('scribble\n')]);
  counter.add(Buffer.concat([whole, pieceEntry(time, 'stdout', Buffer.from('torn')).subarray(0, 40)]));
  assert.deepEqual(counter.count, { stdout: 7n, stderr: 0n, wholeBytes: whole.length });
});
