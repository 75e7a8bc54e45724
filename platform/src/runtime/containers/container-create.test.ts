import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TestWorld } from '../../../test/fixtures/runtime/test-world.ts';

for (const [step, removal] of [
  ['container-created', 'removePodSandbox'],
  ['container-answer', 'removePodSandbox'],
  ['container-created', 'stopPodSandbox'],
] as const)
  test(`a container whose sandbox goes while it is made (${removal} at ${step}) is nobody's: it is refused and gone`, async () => {
    await using world = await TestWorld.create();
    const podSandboxId = await world.sandbox();
    const [reached, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    world.onStep = (name) => {
      if (name !== step) return undefined;
      reached.resolve();
      return goOn.promise;
    };
    const making = world.container(podSandboxId, ['sleep']);
    const refused = assert.rejects(making, /not found|is notready/);
    await reached.promise;
    await world.runtime[removal]({ podSandboxId });
    goOn.resolve();
    await refused;
    assert.deepEqual((await world.runtime.listContainers({})).containers, []);
    await world.runtime.removePodSandbox({ podSandboxId });
    assert.deepEqual(await world.traces(), []);
  });
