import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../base/clock.ts';
import { StartGate } from './start-gate.ts';

test('no more enter than there are places, and containers go before machines', async () => {
  const gate = new StartGate({ places: 1, clock: new FakeClock() });
  const order: string[] = [];
  const leaveFirst = await gate.enter('machine');
  const machine = gate.enter('machine').then((leave) => {
    order.push('machine');
    leave();
  });
  const container = gate.enter('container').then((leave) => {
    order.push('container');
    leave();
  });
  await Promise.resolve();
  assert.deepEqual(order, []);
  leaveFirst();
  leaveFirst();
  await Promise.all([machine, container]);
  assert.deepEqual(order, ['container', 'machine']);
});

test('a start that takes long gives its place away', async () => {
  const clock = new FakeClock();
  const gate = new StartGate({ places: 1, clock, longestMs: 100 });
  await gate.enter('machine');
  let entered = false;
  void gate.enter('machine').then(() => {
    entered = true;
  });
  await clock.advance(99);
  assert.equal(entered, false);
  await clock.advance(1);
  await clock.advance(0);
  assert.equal(entered, true);
});
