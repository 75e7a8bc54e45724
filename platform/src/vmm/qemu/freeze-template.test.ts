import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../base/clock.ts';
import { awaitReady } from './freeze-template.ts';
import type { QemuContext } from './qemu-context.ts';
import type { QmpClient, QmpEvent } from './qmp.ts';

/** A VMM that says `console` bit by bit, tells of `events` with the second bit, and whose status is one after another of `status`, then 'running'. */
function vmm(console: string[], { status = [] as string[], events = [] as QmpEvent[] } = {}) {
  let reads = 0;
  const qmp = {
    onEvent: (_event: QmpEvent) => {},
    async call(command: string) {
      if (command === 'query-status') return { status: status.shift() ?? 'running' };
      if (++reads === 2) for (const event of events) qmp.onEvent(event);
      return console[reads - 1] ?? '';
    },
  };
  return qmp as unknown as QmpClient;
}

/** Time passes by itself, and is asked for afterwards. */
async function awaited(qmp: QmpClient): Promise<{ failure: string | undefined; ms: number }> {
  const clock = new FakeClock();
  const begin = clock.monotonicMs();
  let failure: string | undefined;
  let isOver = false;
  const work = awaitReady({ clock } as Partial<QemuContext> as QemuContext, qmp, { timeoutMs: 2_000 }).then(
    () => {},
    (error: Error) => {
      failure = error.message;
    },
  );
  void work.finally(() => {
    isOver = true;
  });
  while (!isOver) {
    await new Promise((resolve) => setImmediate(resolve));
    if (!isOver) await clock.advance(10);
  }
  return { failure, ms: clock.monotonicMs() - begin };
}

test('a guest is ready when it says so, in however many pieces', async () => {
  assert.equal((await awaited(vmm(['sampan-ag', '', 'ent: ready\r\n']))).failure, undefined);
});

test('a guest that KVM cannot run, and one that resets, is not waited for', async () => {
  for (const [event, state] of [
    ['STOP', 'internal-error'],
    ['SHUTDOWN', 'shutdown'],
  ] as const) {
    const { failure, ms } = await awaited(
      vmm(['booting'], { status: ['running', state], events: [{ event, data: {} }] }),
    );
    assert.equal(failure, `the guest did not boot: its machine stands still (${state}); its console ends: booting`);
    assert.ok(ms < 500, `${ms} ms`);
  }
});

test('one that stood still before anybody listened is not waited for either', async () => {
  const { failure, ms } = await awaited(vmm([], { status: ['internal-error', 'internal-error'] }));
  assert.match(failure ?? '', /stands still \(internal-error\)/);
  assert.ok(ms < 500, `${ms} ms`);
});

test('what a guest said before its machine stopped counts: its last line may be that it is ready, or why it is not', async () => {
  const events = [{ event: 'STOP', data: {} }];
  assert.equal((await awaited(vmm(['', 'sampan-agent: ready\r\n'], { events }))).failure, undefined);
  const panic = 'Kernel panic - not syncing: No working init found.';
  const { failure } = await awaited(vmm(['', `[ 1.0] ${panic}\r\n`], { events }));
  assert.equal(failure, `the guest did not boot: ${panic}`);
});

test('a guest that says nothing for too long is given up', async () => {
  const { failure, ms } = await awaited(vmm(['']));
  assert.match(failure ?? '', /was not ready after 2000 ms/);
  assert.ok(ms > 2_000);
});
