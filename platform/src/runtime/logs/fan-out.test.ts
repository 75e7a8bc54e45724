import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FanOut } from './fan-out.ts';

const text = async (stream: ReadableStream<Uint8Array>) => {
  let all = '';
  for await (const chunk of stream) all += Buffer.from(chunk).toString();
  return all;
};

test('each client sees what comes after it subscribed, and the end', async () => {
  const live = new FanOut();
  const early = live.subscribe();
  live.publish('stdout', Buffer.from('a'));
  const late = live.subscribe();
  live.publish('stdout', Buffer.from('b'));
  live.publish('stderr', Buffer.from('!'));
  live.end();
  assert.deepEqual(await Promise.all([early.stdout, early.stderr, late.stdout].map(text)), ['ab', '!', 'b']);
});

test('a client that does not read is cut off and holds nobody up', async () => {
  const live = new FanOut();
  const slow = live.subscribe();
  const fast = live.subscribe();
  const reading = text(fast.stdout);
  for (let count = 0; count < 64; count++) {
    live.publish('stdout', Buffer.alloc(32 * 1024, 'x'));
    await new Promise((resolve) => setImmediate(resolve));
  }
  live.end();
  assert.equal((await reading).length, 64 * 32 * 1024);
  await assert.rejects(text(slow.stdout), { reason: 'TooManyRequests' });
});

test('who leaves is forgotten; who comes after the end gets the end', async () => {
  const live = new FanOut();
  const gone = live.subscribe();
  await gone.stdout.cancel();
  gone[Symbol.dispose]();
  live.publish('stdout', Buffer.from('x'));
  live.end();
  assert.equal(await text(live.subscribe().stdout), '');
});
