import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '../../../test/integration/support/wait.ts';
import { FakeClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { startTimeOf } from '../../base/process-start.ts';
import type { MachineRecord } from './machine-record.ts';
import { ParkedMachines } from './parked-machines.ts';

/** A stock of one machine, which is this process. */
async function withStock(body: (stock: ParkedMachines, clock: FakeClock, started: () => number) => Promise<void>) {
  const run = await mkdtemp(join(tmpdir(), 'parked-'));
  const clock = new FakeClock();
  const process_ = { pid: process.pid, startTime: Number(startTimeOf(process.pid)) };
  let started = 0;
  const stock = new ParkedMachines({
    context: { clock, log: silentLogger },
    run,
    size: 1,
    start: async ({ directory }) => {
      started++;
      return { directory, record: {} as MachineRecord, process: process_ };
    },
    scrap: async () => {},
  });
  try {
    await stock.recover();
    await body(stock, clock, () => started);
  } finally {
    await stock.close();
    await rm(run, { recursive: true });
  }
}

test('a machine is parked when none was made or taken away for a while, and not in the middle of that', () =>
  withStock(async (stock, clock, started) => {
    stock.note();
    await clock.advance(399);
    assert.equal(started(), 0);
    stock.busy();
    await clock.advance(399);
    assert.equal(started(), 0);
    await clock.advance(1);
    await until('one is parked', async () => started() === 1);
    // Whoever looks after the stock does so every second: the next time while this one is being adopted.
    await clock.advance(5_800);
    assert.ok(await stock.take());
    await clock.advance(390);
    assert.equal(started(), 1);
  }));

test('what nobody asks for any more is let go', () =>
  withStock(async (stock, clock) => {
    stock.note();
    await clock.advance(400);
    await clock.advance(11 * 60_000);
    await until('it is gone', async () => (await stock.take()) === undefined);
  }));
