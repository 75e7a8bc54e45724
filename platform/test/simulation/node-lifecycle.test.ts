/** Nodes that fall silent or are not well, on a clock moved by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import { FakeClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { SharedInformers } from '../../src/controllers/informer/shared-informers.ts';
import { NodeLifecycleController } from '../../src/controllers/node-lifecycle/node-lifecycle-controller.ts';
import { type FakeKubelet, startFakeKubelet } from '../fixtures/fake-kubelet.ts';
import { startTestApi, testPod } from '../integration/api-test-server.ts';

// biome-ignore lint/suspicious/noExplicitAny: answers of every shape
type Loose = any;

/** Two nodes and a Pod on the first; `minutes` moves time in steps in which everybody may act. */
async function lab(names = ['one', 'two']) {
  const clock = new FakeClock();
  const api = await startTestApi({ clock });
  const { client } = api;
  const kubelets: FakeKubelet[] = [];
  for (const name of names) kubelets.push(await startFakeKubelet({ client, name, clock }));
  const informers = new SharedInformers({ client, log: silentLogger, clock });
  const controller = new NodeLifecycleController({ client, informers, log: silentLogger, clock });
  await controller.start();
  const pod = testPod('web');
  await client.create(resources.pods, { ...pod, spec: { ...pod.spec, nodeName: 'one' } } as KubeObject);
  const settle = async () => {
    for (let turn = 0; turn < 40; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  await settle();
  return {
    client,
    kubelets,
    clock,
    settle,
    async pass(seconds: number) {
      for (let passed = 0; passed < seconds; passed += 5) {
        await clock.advance(5000);
        await settle();
      }
    },
    node: async (name: string) => client.get<Loose>(resources.nodes, name),
    pod: async () => client.get<Loose>(resources.pods, 'web', 'default').catch(() => undefined),
    async [Symbol.asyncDispose]() {
      for (const kubelet of kubelets) await kubelet[Symbol.asyncDispose]();
      const closing = controller.close();
      await clock.advance(1000);
      await closing;
      await informers.close();
      await api[Symbol.asyncDispose]();
    },
  };
}

const keys = (node: Loose) =>
  (node.spec.taints ?? []).map((taint: Loose) => `${taint.key.split('/')[1]}:${taint.effect}`);

test('a node that renews its lease stays as it is, however long', async () => {
  await using world = await lab();
  await world.pass(600);
  assert.deepEqual(keys(await world.node('one')), []);
  assert.equal((await world.pod()).metadata.deletionTimestamp, undefined);
});

test('a silent node is lost after its grace, its Pods are no longer ready, and leave after five minutes', async () => {
  await using world = await lab();
  await world.kubelets[0]!.fallSilent();
  await world.pass(40);
  assert.deepEqual(keys(await world.node('one')), []);
  await world.pass(25);
  const lost = await world.node('one');
  assert.equal(lost.status.conditions.find((one: Loose) => one.type === 'Ready').status, 'Unknown');
  assert.deepEqual(keys(lost), ['unreachable:NoSchedule', 'unreachable:NoExecute']);
  const pod = await world.pod();
  assert.equal(pod.status.conditions.find((one: Loose) => one.type === 'Ready').status, 'False');
  await world.pass(270);
  assert.equal((await world.pod()).metadata.deletionTimestamp, undefined);
  await world.pass(40);
  const evicted = await world.pod();
  assert.ok(evicted.metadata.deletionTimestamp);
  assert.equal(evicted.status.conditions.find((one: Loose) => one.type === 'DisruptionTarget').status, 'True');
});

test('a node that is heard of again keeps its Pods', async () => {
  await using world = await lab();
  await world.kubelets[0]!.fallSilent();
  await world.pass(120);
  const { client } = world;
  const node = await world.node('one');
  const conditions = [
    { type: 'Ready', status: 'True', reason: 'KubeletReady', lastHeartbeatTime: '2023-11-14T22:30:00Z' },
  ];
  await client.update(resources.nodes, { ...node, status: { ...node.status, conditions } }, { subresource: 'status' });
  await world.pass(10);
  assert.deepEqual(keys(await world.node('one')), []);
  await world.pass(30);
  assert.equal((await world.pod()).metadata.deletionTimestamp, undefined);
});

test('where no node is well, nobody is evicted', async () => {
  await using world = await lab(['one']);
  await world.kubelets[0]!.fallSilent();
  await world.pass(900);
  assert.deepEqual(keys(await world.node('one')), ['unreachable:NoSchedule']);
  assert.equal((await world.pod()).metadata.deletionTimestamp, undefined);
});

test("time in which the controller itself was stopped is nobody else's silence", async () => {
  await using world = await lab();
  // A process that was stopped: its timers are all late, and what they find is an hour old.
  const { clock } = world;
  const now = clock.now.bind(clock);
  let leapMs = 0;
  clock.now = () => now() + leapMs;
  clock.monotonicMs = () => now() + leapMs;
  await world.pass(20);
  leapMs = 3_600_000;
  await world.pass(5);
  assert.deepEqual(keys(await world.node('one')), []);
});
