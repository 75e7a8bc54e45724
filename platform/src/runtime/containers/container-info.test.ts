import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../base/clock.ts';
import type { Context } from '../context.ts';
import type { ContainerRecord } from '../records/container-record.ts';
import { Container } from './container.ts';
import { containerInfo } from './container-info.ts';

interface Shown {
  pid: number;
  config: { command: string[] };
  runtimeSpec?: { process: { args: string[]; env?: string[]; user: object }; mounts: { destination: string }[] };
}

async function infoOf(more: Partial<ContainerRecord>, has: { image: boolean } = { image: true }): Promise<Shown> {
  const record = {
    id: 'c',
    sandboxId: 's',
    state: 'running',
    config: {
      metadata: { name: 'main' },
      command: ['run'],
      envs: [{ key: 'TOKEN', value: 'x' }],
      mounts: [{ containerPath: '/data', hostPath: '/srv/data' }],
    },
    mounts: [],
    user: { uid: 7, gid: 8, groups: [8] },
    ...more,
  } as unknown as ContainerRecord;
  const context = {
    options: {
      clock: new FakeClock(),
      images: { get: async () => (has.image ? { config: { Env: ['A=1'] } } : undefined) },
    },
    log: { debug() {} },
    sandboxOf: () => ({
      record: { runtimeHandler: 'vm', config: { metadata: {} }, memoryLimitBytes: 64 << 20 },
      machine: { pid: 4711 },
      hostname: 'h',
    }),
  } as unknown as Context;
  return (await containerInfo(context, new Container(record))) as Shown;
}

test('what is shown of a container is its process, its configuration and what its machine was told', async () => {
  const { pid, config, runtimeSpec } = await infoOf({});
  assert.deepEqual([pid, config.command, runtimeSpec?.process.args], [4711, ['run'], ['run']]);
  assert.deepEqual(runtimeSpec?.process.user, { uid: 7, gid: 8, additionalGids: [8] });
  assert.ok(runtimeSpec?.process.env?.includes('TOKEN=x') && runtimeSpec.process.env.includes('A=1'));
  assert.ok(runtimeSpec.mounts.some(({ destination }) => destination === '/data'));
});

test('a container that does not run has no process', async () => {
  assert.equal((await infoOf({ state: 'exited' })).pid, 0);
});

test('what is not known any more is left out: an environment after a restart, all of the spec without the image', async () => {
  const { runtimeSpec } = await infoOf({ envsLeftOut: true });
  assert.deepEqual([runtimeSpec?.process.args, runtimeSpec?.process.env], [['run'], undefined]);
  assert.equal((await infoOf({}, { image: false })).runtimeSpec, undefined);
});
