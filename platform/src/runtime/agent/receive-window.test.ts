import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteQueue } from './byte-queue.ts';
import { ProtocolViolation } from './frames.ts';
import { firstWindowBytes, GrowthBudget, ReceiveWindow } from './receive-window.ts';

const mebibyte = 1024 * 1024;

/** A guest that sends all it may, and a reader who takes it all at once; gives how much was on its way at most. */
function flow(window: ReceiveWindow, bytes: number): number {
  let credit = firstWindowBytes;
  let largest = credit;
  for (let sent = 0; sent < bytes; ) {
    const piece = Math.min(credit, 30_000);
    window.received(piece);
    credit += window.taken(piece) - piece;
    sent += piece;
    largest = Math.max(largest, credit);
    assert.ok(credit > 0, 'the guest waits for credit that never comes');
  }
  return largest;
}

test('a window grows for a reader who takes everything, up to a mebibyte', () => {
  const largest = flow(new ReceiveWindow(8 * mebibyte, new GrowthBudget()), 20 * mebibyte);
  assert.ok(largest > mebibyte / 2 && largest <= mebibyte, `${largest}`);
});

test('an agent that knows no larger window keeps the first', () => {
  assert.equal(flow(new ReceiveWindow(firstWindowBytes, new GrowthBudget()), mebibyte), firstWindowBytes);
});

test('all windows together grow no further than their budget, and give it back', () => {
  const budget = new GrowthBudget(mebibyte);
  const [first, second] = [new ReceiveWindow(mebibyte, budget), new ReceiveWindow(mebibyte, budget)];
  flow(first, 20 * mebibyte);
  assert.ok(flow(second, 20 * mebibyte) <= firstWindowBytes * 2);
  first.release();
  first.release();
  second.release();
  assert.ok(budget.take(mebibyte));
  assert.ok(!budget.take(1));
});

test('a guest that sends more than it may is found out', () => {
  const window = new ReceiveWindow(mebibyte);
  window.received(firstWindowBytes);
  assert.throws(() => window.received(1), ProtocolViolation);
});

test('what waits comes out as it went in, small pieces together', () => {
  const queue = new ByteQueue();
  const pieces = Array.from({ length: 5000 }, (_, index) => Buffer.alloc(index % 700 === 0 ? 20_000 : 7, index));
  for (const piece of pieces) queue.push(piece);
  const out: Buffer[] = [];
  for (let next = queue.shift(); next; next = queue.shift()) out.push(next);
  assert.deepEqual(Buffer.concat(out), Buffer.concat(pieces));
  assert.ok(out.length < 30 && queue.isEmpty, `${out.length} pieces`);
});
