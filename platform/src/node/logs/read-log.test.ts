import assert from 'node:assert/strict';
import { appendFile, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { FakeRuntime } from '../../../test/fixtures/node/fake-runtime.ts';
import { FakeClock, systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { parseLogLine } from './cri-line.ts';
import { Follower } from './follower.ts';
import { lastLines } from './last-lines.ts';
import { logFiles } from './log-files.ts';
import { rotateAll } from './log-rotation.ts';
import { type ReadLogOptions, readLog } from './read-log.ts';

const time = (second: number) => `2026-01-02T03:04:${String(second).padStart(2, '0')}.123456789Z`;
const line = (text: string, second = 0, tag = 'F', stream = 'stdout') => `${time(second)} ${stream} ${tag} ${text}\n`;

describe('a container’s log', () => {
  let directory: string;
  let path: string;
  let count = 0;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sampan-log-'));
  });
  after(() => rm(directory, { recursive: true, force: true }));
  beforeEach(() => {
    path = join(directory, `${count++}.log`);
  });

  async function read(options: Partial<ReadLogOptions> = {}, onRead: () => void = () => {}): Promise<string> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of readLog({ path, timestamps: false, ...options })) {
      chunks.push(chunk);
      onRead();
    }
    return Buffer.concat(chunks).toString('utf8');
  }

  const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);
  const many = (from: number, to: number) =>
    numbers(from, to)
      .map((number) => line(`line ${number}`))
      .join('');
  const plain = (from: number, to: number) =>
    numbers(from, to)
      .map((number) => `line ${number}\n`)
      .join('');

  test('is what was written, both streams, with parts of a line put together', async () => {
    await writeFile(path, line('one') + line('tw', 1, 'P') + line('o', 1) + line('err', 2, 'F', 'stderr') + line(''));
    assert.equal(await read(), 'one\ntwo\nerr\n\n');
  });

  test('has times before lines when asked, once a line', async () => {
    await writeFile(path, line('tw', 1, 'P') + line('o', 2) + line('x', 3));
    assert.equal(await read({ timestamps: true }), `${time(1)} two\n${time(3)} x\n`);
  });

  test('passes over what is not in the format', async () => {
    await writeFile(path, `torn line\n${line('good')}2026 stdin F no\n\n${line('end').slice(0, 20)}`);
    assert.equal(await read(), 'good\n');
  });

  test('that is not there is empty', async () => {
    assert.equal(await read(), '');
  });

  test('tail counts lines from the end, in one file of many chunks', async () => {
    await writeFile(path, many(1, 20_000));
    for (const tailLines of [0, 1, 2, 5000, 19_999, 20_000, 30_000])
      assert.equal(await read({ tailLines }), plain(20_001 - Math.min(tailLines, 20_000), 20_000), `${tailLines}`);
  });

  test('tail goes back into rotated files', async () => {
    await writeFile(`${path}.20260102-030405`, many(1, 10));
    await writeFile(`${path}.20260102-030405.001`, many(11, 20));
    await writeFile(path, many(21, 30));
    await writeFile(`${path}.tmp`, many(99, 99));
    assert.equal(await read(), plain(1, 30));
    assert.equal(await read({ tailLines: 15 }), plain(16, 30));
  });

  test('tail counts a line that was written in parts once', async () => {
    await writeFile(
      path,
      line('a') + line('b1', 0, 'P') + line('b2') + line('c1', 0, 'P') + line('c2', 0, 'P') + line('c3'),
    );
    assert.equal(await read({ tailLines: 1 }), 'c1c2c3\n');
    assert.equal(await read({ tailLines: 2 }), 'b1b2\nc1c2c3\n');
  });

  test('since and limitBytes cut it', async () => {
    await writeFile(path, line('one', 1) + line('two', 2) + line('three', 3));
    assert.equal(await read({ sinceTime: new Date('2026-01-02T03:04:02Z') }), 'two\nthree\n');
    assert.equal(await read({ limitBytes: 6 }), 'one\ntw');
  });

  test('its end stands in for a termination message', async () => {
    await writeFile(path, many(1, 1000));
    assert.equal(await lastLines(path, { lines: 80, bytes: 2048 }), plain(921, 1000));
    assert.equal(await lastLines(path, { lines: 80, bytes: 10 }), 'line 1000\n');
  });

  test('is followed over rotations until the container has ended, without loss', async () => {
    let ended = false;
    const signal = new AbortController().signal;
    await writeFile(path, many(1, 10));
    const follower = new Follower({ path, clock: systemClock, signal, isEnded: async () => ended });
    const reading = read({ follow: follower });
    for (let round = 1; round < 20; round++) {
      if (round % 4 === 0) {
        await rename(path, `${path}.20260102-0304${String(round).padStart(2, '0')}`);
        await appendFile(`${path}.20260102-0304${String(round).padStart(2, '0')}`, line(`late ${round}`));
      }
      await appendFile(path, many(round * 10 + 1, round * 10 + 10));
      await delay(round % 3);
    }
    ended = true;
    const text = await reading;
    follower.close();
    assert.equal(text.replace(/late \d+\n/g, ''), plain(1, 200));
    assert.equal(text.match(/late/g)?.length, 4);
  });

  test('following ends when the reader goes away', async () => {
    const controller = new AbortController();
    await writeFile(path, many(1, 3));
    const follower = new Follower({ path, clock: systemClock, signal: controller.signal, isEnded: async () => false });
    const begun = Promise.withResolvers<void>();
    const reading = read({ follow: follower }, begun.resolve);
    await begun.promise;
    controller.abort();
    assert.equal(await reading, plain(1, 3));
    follower.close();
  });

  test('following with a tail begins there', async () => {
    let ended = false;
    const signal = new AbortController().signal;
    await writeFile(path, many(1, 5));
    const follower = new Follower({ path, clock: systemClock, signal, isEnded: async () => ended });
    const begun = Promise.withResolvers<void>();
    const reading = read({ follow: follower, tailLines: 2 }, begun.resolve);
    await begun.promise;
    await appendFile(path, many(6, 7));
    ended = true;
    assert.equal(await reading, plain(4, 7));
    follower.close();
  });
});

test('a line of the log is taken apart', () => {
  const parse = (text: string) => parseLogLine(Buffer.from(text));
  assert.equal(parse(`${time(1)} stderr F hello world`)?.text.toString(), 'hello world');
  assert.equal(parse(`${time(1)} stdout P:later x`)?.partial, true);
  assert.equal(parse(`${time(1)} stdout F`)?.text.length, 0);
  for (const bad of ['', 'x', 'a b', `${time(1)} stdout X y`, `${time(1)} stdio F y`])
    assert.equal(parse(bad), undefined, bad);
});

test('a log that grew too large is put aside, and five files stay', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'sampan-rotate-'));
  const clock = new FakeClock();
  const runtime = new FakeRuntime({ clock });
  const { podSandboxId } = await runtime.runPodSandbox({
    config: { metadata: { name: 'p', uid: 'u' }, logDirectory: directory },
  });
  const config = { metadata: { name: 'c', attempt: 0 }, logPath: 'c/0.log' };
  const { containerId } = await runtime.createContainer({ podSandboxId, config });
  await runtime.startContainer({ containerId });
  const path = join(directory, 'c/0.log');
  try {
    for (let round = 0; round < 8; round++) {
      await appendFile(path, line(`round ${round}`).repeat(10));
      await rotateAll({ runtime, clock, log: silentLogger }, 200);
      assert.equal((await stat(path)).size, 0, 'the runtime writes to a new file');
    }
    const files = await logFiles(path);
    assert.equal(files.length, 5);
    assert.equal(await lastLines(path, { lines: 1, bytes: 100 }), 'round 7\n');
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
