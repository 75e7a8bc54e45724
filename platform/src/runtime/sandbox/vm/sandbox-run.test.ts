import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TestWorld } from '../../../../test/fixtures/runtime/test-world.ts';
import * as cri from '../../generated/cri.ts';

test('a sandbox that can be neither made nor undone is shown as not ready with the reason, and goes with whoever removes it', async () => {
  await using world = await TestWorld.create();
  world.onStep = (step) => {
    if (step === 'sandbox-ready') throw new Error('told to');
  };
  world.host.network.detachFault = new Error('plugin x, DEL: told to');
  await assert.rejects(world.sandbox(), { message: 'told to' });
  const { items = [] } = await world.runtime.listPodSandbox({});
  assert.deepEqual(
    items.map(({ state }) => state),
    [cri.PodSandboxState.SANDBOX_NOTREADY],
  );
  const podSandboxId = items[0]!.id!;
  const { info } = await world.runtime.podSandboxStatus({ podSandboxId, verbose: true });
  assert.match(JSON.parse(info!.info!).message, /nor undone: plugin x, DEL: told to/);
  world.onStep = () => {};
  await assert.rejects(world.runtime.removePodSandbox({ podSandboxId }), /plugin x, DEL/);
  await world.restart();
  world.host.network.detachFault = undefined;
  await world.runtime.stopPodSandbox({ podSandboxId });
  await world.runtime.removePodSandbox({ podSandboxId });
  assert.deepEqual(await world.traces(), []);
});

test('a network that takes nobody just now is a condition that is not met, and the reason is told', async () => {
  await using world = await TestWorld.create();
  world.host.network.fault = 'no CNI network in /etc/cni/net.d';
  const { status } = await world.runtime.status({});
  const network = status?.conditions?.find(({ type }) => type === 'NetworkReady');
  assert.deepEqual([network?.status, network?.message], [false, 'no CNI network in /etc/cni/net.d']);
});
