import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../base/clock.ts';
import type { Context } from '../context.ts';
import { execSync } from './exec.ts';

test('a command that takes too long is gone when its time-out is told, unless the guest does not answer', async () => {
  for (const answers of [true, false]) {
    const clock = new FakeClock();
    let killed = false;
    let end = (_exit: { exitCode: number }): void => {};
    const session = {
      stdout: new Blob([]).stream(),
      stderr: new Blob([]).stream(),
      exited: new Promise<{ exitCode: number }>((resolve) => {
        end = resolve;
      }),
      kill: () => {
        killed = true;
      },
      async [Symbol.asyncDispose]() {},
    };
    const context = {
      options: { clock },
      step: async () => {},
      container: () => ({ id: 'c', record: { state: 'running' } }),
      sandboxOf: () => ({ link: { ready: async () => ({ exec: async () => session }) } }),
    } as unknown as Context;
    let told = false;
    const answer = execSync(context, { containerId: 'c', cmd: ['sleep'], timeout: 1n }).finally(() => {
      told = true;
    });
    answer.catch(() => {});
    await new Promise(setImmediate);
    await clock.advance(1000);
    assert.deepEqual({ killed, told }, { killed: true, told: false });
    if (answers) end({ exitCode: 137 });
    else await clock.advance(2000);
    await assert.rejects(answer, { reason: 'Timeout' });
  }
});
