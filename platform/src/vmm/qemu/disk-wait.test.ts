import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { DiskWait } from './disk-wait.ts';

const noRoom = { event: 'BLOCK_IO_ERROR', data: { action: 'stop', nospace: true } };

async function passes(clock: FakeClock, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 500) {
    await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(500);
  }
}

test('a machine that stands still for want of room is let go on until it stays so, and again the next time', async () => {
  const clock = new FakeClock();
  let left = 2;
  let goneOn = 0;
  const over = new AbortController();
  const wait: DiskWait = new DiskWait({
    machine: 'm',
    clock,
    log: silentLogger,
    over: over.signal,
    goOn: async () => {
      goneOn++;
      if (left-- > 0) wait.see(noRoom);
    },
  });
  wait.see({ event: 'BLOCK_IO_ERROR', data: { action: 'report' } });
  await passes(clock, 5000);
  assert.equal(goneOn, 0, 'an error the guest was told of is the guest’s');
  assert.equal(wait.isWaiting, false);
  wait.see(noRoom);
  wait.see(noRoom);
  assert.equal(wait.isWaiting, true);
  await passes(clock, 5000);
  assert.equal(wait.isWaiting, true, 'it stood still again at once');
  await passes(clock, 25_000);
  assert.equal(goneOn, 3, 'twice in vain, and once for good');
  assert.equal(wait.isWaiting, false);
  wait.see(noRoom);
  await passes(clock, 10_000);
  assert.equal(goneOn, 4);
  wait.see(noRoom);
  over.abort();
  await passes(clock, 10_000);
  assert.equal(goneOn, 4, 'nobody asks a machine that is gone');
});

test('a machine that could not be let go on once is asked again', async () => {
  const clock = new FakeClock();
  let asked = 0;
  const goOn = async () => {
    if (++asked < 3) throw new Error('the VMM did not answer cont within 10000 ms');
  };
  const { signal } = new AbortController();
  const wait = new DiskWait({ machine: 'm', clock, log: silentLogger, over: signal, goOn });
  wait.stands();
  await passes(clock, 5000);
  assert.equal(wait.isWaiting, true);
  await passes(clock, 20_000);
  assert.deepEqual([asked, wait.isWaiting], [3, false]);
});
