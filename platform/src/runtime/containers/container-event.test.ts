import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, TestWorld } from '../../../test/fixtures/runtime/test-world.ts';
import * as cri from '../generated/cri.ts';

/** Whose events they were, in their order, until the last of them is a Pod's that was deleted. */
async function eventsOf(world: TestWorld, live: () => Promise<string[]>): Promise<string[]> {
  const events = world.runtime.getContainerEvents({})[Symbol.asyncIterator]();
  const [podSandboxId = '', containerId = ''] = await live();
  const whose = new Map([
    [podSandboxId, 'Pod'],
    [containerId, 'container'],
  ]);
  const seen: string[] = [];
  while (seen.at(-1) !== 'Pod deleted') {
    const { value } = await events.next();
    assert.equal(value?.podSandboxStatus?.id, podSandboxId);
    const words = ['created', 'started', 'stopped', 'deleted'];
    seen.push(`${whose.get(value?.containerId ?? '')} ${words[value?.containerEventType ?? -1]}`);
  }
  await events.return?.();
  return seen;
}

test('events tell of Pods and containers: created, started, stopped, deleted, each with the state of the Pod', async () => {
  await using world = await TestWorld.create();
  const seen = await eventsOf(world, async () => {
    const podSandboxId = await world.sandbox();
    const containerId = await world.started(podSandboxId, ['exit', '3']);
    await world.exited(containerId);
    await world.runtime.removeContainer({ containerId });
    await world.runtime.stopPodSandbox({ podSandboxId });
    await world.runtime.stopPodSandbox({ podSandboxId });
    await world.runtime.removePodSandbox({ podSandboxId });
    return [podSandboxId, containerId];
  });
  assert.deepEqual(seen.slice(0, 3), ['Pod created', 'Pod started', 'container created']);
  // One that ends at once may be told to have stopped before its start was.
  assert.deepEqual(seen.slice(3, 5).sort(), ['container started', 'container stopped']);
  assert.deepEqual(seen.slice(5), ['container deleted', 'Pod stopped', 'Pod deleted']);
});

test('a machine that ends by itself is an event of its Pod, once', async () => {
  await using world = await TestWorld.create();
  const seen = await eventsOf(world, async () => {
    const podSandboxId = await world.sandbox();
    world.machine().die({ kind: 'killed', message: '' });
    await eventually(async () => {
      const { status } = await world.runtime.podSandboxStatus({ podSandboxId });
      return status?.state === cri.PodSandboxState.SANDBOX_NOTREADY || undefined;
    }, 'the sandbox to be not ready');
    await world.runtime.removePodSandbox({ podSandboxId });
    return [podSandboxId];
  });
  assert.deepEqual(seen, ['Pod created', 'Pod started', 'Pod stopped', 'Pod deleted']);
});
