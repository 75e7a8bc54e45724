import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TestWorld } from '../../../../test/fixtures/runtime/test-world.ts';
import { systemClock } from '../../../base/clock.ts';
import * as cri from '../../generated/cri.ts';
import { answerMs } from './silent-agent.ts';

/** So many times as fast from the moment when the agent falls silent: what comes before has all the time that it has elsewhere. */
const quickening = (speed: number) => {
  const clock = {
    ...systemClock,
    speed: 1,
    sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(ms / clock.speed, signal),
  };
  return {
    clock,
    silence: (world: TestWorld) => {
      world.guest().silent = true;
      clock.speed = speed;
    },
  };
};

async function silentWorld(speed = 100): Promise<{ world: TestWorld; podSandboxId: string; containerId: string }> {
  const { clock, silence } = quickening(speed);
  const world = await TestWorld.create(clock);
  const podSandboxId = await world.sandbox();
  const containerId = await world.started(podSandboxId, ['say-and-sleep', 'hello']);
  silence(world);
  return { world, podSandboxId, containerId };
}

const ended = async (world: TestWorld, podSandboxId: string) => {
  const { status, containersStatuses: _ } = await world.runtime.podSandboxStatus({ podSandboxId });
  assert.equal(status?.state, cri.PodSandboxState.SANDBOX_NOTREADY);
  assert.equal(world.host.machines.size, 0, 'its machine is gone');
};

for (const timeout of [0n, 1n])
  test(`StopContainer with ${timeout} s of grace ends the machine of a silent agent; the container has ended with 137`, async () => {
    const { world, podSandboxId, containerId } = await silentWorld();
    await using _ = world;
    const other = world.runtime.stopContainer({ containerId, timeout: 0n });
    await world.runtime.stopContainer({ containerId, timeout });
    await other;
    const status = await world.status(containerId);
    assert.deepEqual([status.state, status.exitCode], [cri.ContainerState.CONTAINER_EXITED, 137]);
    assert.match(status.message ?? '', new RegExp(`did not answer for ${answerMs / 1000} s`));
    await ended(world, podSandboxId);
    await world.runtime.removePodSandbox({ podSandboxId });
    assert.deepEqual(await world.traces(), []);
  });

test('RemoveContainer comes through a silent agent, whether its container runs or has ended', async () => {
  const { world, podSandboxId, containerId } = await silentWorld();
  await using _ = world;
  world.guest().end(containerId, 3);
  await world.exited(containerId);
  await world.runtime.removeContainer({ containerId });
  await assert.rejects(world.status(containerId), { reason: 'NotFound' });
  await ended(world, podSandboxId);

  const second = await silentWorld();
  await using __ = second.world;
  await second.world.runtime.removeContainer({ containerId: second.containerId });
  await assert.rejects(second.world.status(second.containerId), { reason: 'NotFound' });
  await ended(second.world, second.podSandboxId);
});

test('RemoveContainer does not wait for ever for a start that waits for a silent agent', async () => {
  const { clock, silence } = quickening(100);
  await using world = await TestWorld.create(clock);
  const podSandboxId = await world.sandbox();
  const containerId = await world.container(podSandboxId, ['sleep']);
  silence(world);
  const starting = world.runtime.startContainer({ containerId });
  starting.catch(() => {});
  await world.runtime.removeContainer({ containerId });
  await assert.rejects(starting);
  await ended(world, podSandboxId);
});

test('StopPodSandbox does not wait for a silent agent', async () => {
  const { world, podSandboxId, containerId } = await silentWorld();
  await using _ = world;
  await world.runtime.stopPodSandbox({ podSandboxId });
  assert.equal((await world.status(containerId)).state, cri.ContainerState.CONTAINER_EXITED);
  await ended(world, podSandboxId);
});

test('an agent that answers late, but answers, keeps its machine', async () => {
  const { world, podSandboxId, containerId } = await silentWorld(10);
  await using _ = world;
  const stopping = world.runtime.stopContainer({ containerId, timeout: 0n });
  await systemClock.sleep(answerMs / 40);
  world.guest().silent = false;
  world.guest().connection!.tell({ type: 'oom', containerId });
  await stopping;
  assert.equal((await world.status(containerId)).exitCode, 137);
  const { status } = await world.runtime.podSandboxStatus({ podSandboxId });
  assert.equal(status?.state, cri.PodSandboxState.SANDBOX_READY);
});

test('statistics of the others come while an agent is silent', async () => {
  const { world, podSandboxId } = await silentWorld(10);
  await using _ = world;
  const other = await world.sandbox('other');
  const { stats = [] } = await world.runtime.listPodSandboxStats({});
  assert.deepEqual(
    stats.map(({ attributes }) => attributes?.id),
    [other],
  );
  await assert.rejects(world.runtime.podSandboxStats({ podSandboxId }), { reason: 'Timeout' });
});
