import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../base/clock.ts';
import { Tokens } from './tokens.ts';

test('a token is good once, and for a minute', async () => {
  const clock = new FakeClock();
  const tokens = new Tokens<string>(clock);
  const [first, second] = [tokens.issue('first'), tokens.issue('second')];
  assert.match(first, /^[\w-]{43}$/);
  assert.notEqual(first, second);
  assert.deepEqual([tokens.take(first), tokens.take(first), tokens.take('nothing')], ['first', undefined, undefined]);
  await clock.advance(60_001);
  assert.equal(tokens.take(second), undefined);
});

test('no more than a thousand wait, and those that are used or old make room', async () => {
  const clock = new FakeClock();
  const tokens = new Tokens<number>(clock);
  const issued = Array.from({ length: 1000 }, (_, index) => tokens.issue(index));
  assert.throws(() => tokens.issue(1000), { reason: 'ResourceExhausted' });
  tokens.take(issued[0]!);
  tokens.issue(1000);
  assert.throws(() => tokens.issue(1001), { reason: 'ResourceExhausted' });
  await clock.advance(60_001);
  tokens.issue(1001);
});
