import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SampanError } from '@sampan/api/errors.ts';
import { type Clock, FakeClock, systemClock } from '../../base/clock.ts';
import type { Context } from '../context.ts';
import { exec, execSync } from './exec.ts';

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

test('a command that fails since its container ends is told so, whether the guest, the record or nobody knows of the container any more', async () => {
  /** What the guest's list says, and what the command broke with. */
  const outcome = async (
    knows: { guest?: string; later?: string; record?: string; removed?: true; sandbox?: string },
    broke: string,
    words = 'fail startup',
    clock: Clock = new FakeClock(),
  ) => {
    let looks = 0;
    const container = { id: 'c', name: 'main', record: { state: 'running' } };
    const containers = new Map([['c', container]]);
    const agent = {
      exec: async () => {
        container.record.state = knows.record ?? 'running';
        if (knows.removed) containers.clear();
        throw new SampanError(broke as 'InternalError', words);
      },
      listContainers: async () => {
        const state = knows.later && looks++ > 1 ? knows.later : knows.guest;
        return state ? [{ id: 'c', state }] : [];
      },
    };
    const context = {
      options: { clock },
      step: async () => {},
      containers,
      container: () => container,
      sandboxOf: () => ({ record: { state: knows.sandbox ?? 'ready' }, link: { ready: async () => agent } }),
    } as unknown as Context;
    const reasons: string[] = [];
    for (const call of [execSync, exec]) {
      looks = 0;
      container.record.state = 'running';
      containers.set('c', container);
      await call(context, { containerId: 'c', cmd: ['true'] }).catch((error) => reasons.push(error.reason));
    }
    assert.equal(reasons[0], reasons[1]);
    return reasons[0];
  };
  assert.equal(await outcome({ guest: 'exited' }, 'InternalError'), 'FailedPrecondition');
  assert.equal(await outcome({}, 'InternalError'), 'FailedPrecondition');
  assert.equal(await outcome({ guest: 'running', record: 'exited' }, 'InternalError'), 'FailedPrecondition');
  assert.equal(await outcome({ guest: 'running', sandbox: 'notready' }, 'ServiceUnavailable'), 'FailedPrecondition');
  assert.equal(await outcome({ guest: 'running', removed: true }, 'InternalError'), 'NotFound');
  assert.equal(
    await outcome({ guest: 'running' }, 'InternalError', 'the container `c` is not running'),
    'FailedPrecondition',
  );
  const killed = 'crun failed without a word';
  const soon = { guest: 'running', later: 'exited' };
  assert.equal(await outcome(soon, 'InternalError', killed, systemClock), 'FailedPrecondition');
  assert.equal(await outcome({ guest: 'running' }, 'InternalError', killed, systemClock), 'InternalError');
  assert.equal(await outcome(soon, 'InternalError', 'fail startup', systemClock), 'FailedPrecondition');
  assert.equal(await outcome({ guest: 'running' }, 'InternalError', 'no such user'), 'InternalError');
  assert.equal(await outcome({ guest: 'running' }, 'ServiceUnavailable', 'closed'), 'ServiceUnavailable');
});
