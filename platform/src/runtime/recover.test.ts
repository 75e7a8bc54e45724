import assert from 'node:assert/strict';
import { appendFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually, TestWorld } from '../../test/fixtures/runtime/test-world.ts';
import * as cri from './generated/cri.ts';

const { SANDBOX_READY, SANDBOX_NOTREADY } = cri.PodSandboxState;

/** Everything that happens to a Pod; each step of it is a place to die. */
async function wholeLife(anyWorld: TestWorld): Promise<void> {
  // Its client dies with the runtime: waiting for an end, it would otherwise go on with the next one.
  const world = anyWorld.ofNow();
  const podSandboxId = await world.sandbox('web', { annotations: { 'sampan.dev/images': '["busybox"]' } });
  const first = await world.started(podSandboxId, ['say', 'one']);
  await world.exited(first);
  const second = await world.started(podSandboxId, ['sleep'], { metadata: { name: 'b' }, image: { image: 'nginx' } });
  await world.runtime.removeContainer({ containerId: second });
  await world.started(podSandboxId, ['sleep'], { metadata: { name: 'c' } });
  await world.runtime.stopPodSandbox({ podSandboxId });
  await world.runtime.removePodSandbox({ podSandboxId });
}

/** What a node does after a restart: removes whatever it finds, by what the runtime lists. */
async function removeAll(world: TestWorld): Promise<void> {
  const { items } = await world.runtime.listPodSandbox({});
  for (const { id } of items ?? []) {
    for (const container of (await world.runtime.listContainers({ filter: { podSandboxId: id } })).containers ?? [])
      await world.runtime.removeContainer({ containerId: container.id });
    await world.runtime.removePodSandbox({ podSandboxId: id });
  }
}

async function stepsOfWholeLife(): Promise<string[]> {
  await using world = await TestWorld.create();
  const steps: string[] = [];
  world.onStep = (step) => void steps.push(step);
  await wholeLife(world);
  assert.deepEqual(await world.traces(), []);
  return steps;
}

test('killed at any step of a Pod’s life, the next runtime converges and nothing is leaked', async (t) => {
  const steps = await stepsOfWholeLife();
  assert.ok(steps.length > 25, `only ${steps.length} steps`);
  for (const [index, name] of steps.entries())
    await t.test(`killed at step ${index}: ${name}`, async () => {
      await using world = await TestWorld.create();
      const died = Promise.withResolvers<void>();
      let count = 0;
      // The old runtime stays where it is for ever, as a killed process does.
      world.onStep = () => {
        if (count++ < index) return;
        died.resolve();
        return new Promise<void>(() => {});
      };
      wholeLife(world).catch(() => {});
      await died.promise;
      world.onStep = () => {};
      await world.restart();
      for (const { id, state } of (await world.runtime.listPodSandbox({})).items ?? [])
        if (state === SANDBOX_READY) assert.ok(world.host.machines.size > 0, `${id} is ready and has no machine`);
      await removeAll(world);
      assert.deepEqual(await world.traces(), []);
      await wholeLife(world);
      assert.deepEqual(await world.traces(), []);
    });
});

test('failing at any step of a Pod’s life, what is left can be removed and nothing is leaked', async (t) => {
  const steps = await stepsOfWholeLife();
  for (const [index, name] of steps.entries())
    await t.test(`failing at step ${index}: ${name}`, async () => {
      await using world = await TestWorld.create();
      let count = 0;
      world.onStep = () => {
        if (count++ === index) throw new Error(`no luck at ${name}`);
      };
      await wholeLife(world).catch(() => {});
      await removeAll(world);
      // What could not even be undone is the next start's.
      await world.restart();
      await removeAll(world);
      assert.deepEqual(await world.traces(), []);
    });
});

test('a restarted runtime adopts running Pods: containers go on, logs lose and double nothing, the guest is not set up twice', async () => {
  await using world = await TestWorld.create();
  const podSandboxId = await world.sandbox();
  const containerId = await world.started(podSandboxId, ['say-and-sleep', 'one']);
  const path = join(world.directory, 'logs', 'web', 'main', '0.log');
  await eventually(async () => ((await readFile(path, 'utf8')).length > 0 ? true : undefined), 'the first line');
  const before = world.guest().setup;
  await world.runtime.close();
  world.guest().say(containerId, 'two\nthree, unfini');
  await appendFile(path, '2024-01-01T00:00:00.0Z stdout F tor');
  await world.restart();
  world.guest().say(containerId, 'shed\n');
  const lines = await eventually(async () => {
    const all = (await readFile(path, 'utf8')).split('\n').slice(0, -1);
    return all.length >= 3 ? all : undefined;
  }, 'three lines');
  const said = lines.map((line) => line.split(' ').slice(2).join(' '));
  assert.deepEqual(said, ['F one', 'F two', 'F three, unfinished']);
  assert.equal(world.guest().setup, before);
  assert.equal((await world.status(containerId)).state, cri.ContainerState.CONTAINER_RUNNING);
  const answer = await world.runtime.execSync({ containerId, cmd: ['say', 'alive'] });
  assert.equal(Buffer.from(answer.stdout!).toString(), 'alive\n');
  await world.runtime.removePodSandbox({ podSandboxId });
  assert.deepEqual(await world.traces(), []);
});

test('a container that ended while nobody looked has its code, and its last lines are in the log', async () => {
  await using world = await TestWorld.create();
  const containerId = await world.started(await world.sandbox(), ['sleep']);
  await world.runtime.close();
  world.guest().say(containerId, 'last words\n');
  world.guest().end(containerId, 9);
  await world.restart();
  assert.equal((await world.exited(containerId)).exitCode, 9);
  const text = await readFile(join(world.directory, 'logs', 'web', 'main', '0.log'), 'utf8');
  assert.match(text, /stdout F last words\n$/);
});

test('a container that the guest does not know has ended without a code', async () => {
  await using world = await TestWorld.create();
  const containerId = await world.started(await world.sandbox(), ['sleep']);
  await world.runtime.close();
  world.guest().containers.delete(containerId);
  await world.restart();
  const status = await world.exited(containerId);
  assert.deepEqual([status.exitCode, status.reason], [255, 'Error']);
});

test('a machine that died while nobody looked: not ready, containers exited with the reason, the address kept until it is stopped', async () => {
  await using world = await TestWorld.create();
  const podSandboxId = await world.sandbox();
  const containerId = await world.started(podSandboxId, ['sleep']);
  await world.runtime.close();
  world.machine().die({ kind: 'killed', message: '' });
  await world.restart();
  assert.equal((await world.runtime.podSandboxStatus({ podSandboxId })).status?.state, SANDBOX_NOTREADY);
  const status = await world.exited(containerId);
  assert.equal(status.exitCode, 137);
  assert.match(status.message ?? '', /the VM ended: .*gone when the server came back/);
  assert.equal(world.host.network.attachments.size, 1);
  await world.runtime.removePodSandbox({ podSandboxId });
  assert.deepEqual(await world.traces(), []);
});

test('after a reboot run/ is empty: disks, pins and leases of the Pods that were are given back', async () => {
  await using world = await TestWorld.create();
  await world.sandbox('web', { annotations: { 'sampan.dev/images': '["busybox"]' } });
  await world.runtime.close();
  await rm(join(world.directory, 'run'), { recursive: true });
  world.host.machines.clear();
  await world.restart();
  assert.deepEqual(await world.traces(), []);
});

test('records that cannot be read are removed, with what they may have held', async () => {
  await using world = await TestWorld.create();
  const podSandboxId = await world.sandbox();
  await world.runtime.close();
  await writeFile(join(world.directory, 'run', 'pods', podSandboxId, 'sandbox.json'), '{"id": "to');
  await mkdir(join(world.directory, 'run', 'pods', 'not-an-id'));
  await world.restart();
  assert.deepEqual(await world.traces(), []);
});

test('environment variables, which hold secrets, are not written down', async () => {
  await using world = await TestWorld.create();
  const podSandboxId = await world.sandbox();
  const envs = [{ key: 'PASSWORD', value: Buffer.from('hunter2') }];
  const containerId = await world.container(podSandboxId, ['sleep'], { envs });
  const text = await readFile(
    join(world.directory, 'run', 'pods', podSandboxId, 'containers', `${containerId}.json`),
    'utf8',
  );
  assert.ok(!text.includes('PASSWORD') && !text.includes(Buffer.from('hunter2').toString('base64')));
});
