/**
 * The workload controllers on bad days: watches that lag and break, refused writes, controllers that die and come back. Whatever
 * happens, there are never more Pods than asked for, never fewer than promised, and in the end all is as it should be.
 * A failure names its seed: SAMPAN_SEED=<seed> plays it again.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import { FakeClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { SharedInformers } from '../../src/controllers/informer/shared-informers.ts';
import { createWorkloadControllers } from '../../src/controllers/workloads.ts';
import { startFakeKubelet } from '../fixtures/fake-kubelet.ts';
import { faultyClient, randomFrom } from '../fixtures/faulty-client.ts';
import { startTestApi } from '../integration/api-test-server.ts';

// biome-ignore lint/suspicious/noExplicitAny: answers of every shape
type Loose = any;

const seeds = process.env.SAMPAN_SEED
  ? [Number(process.env.SAMPAN_SEED)]
  : Array.from({ length: Number(process.env.SAMPAN_SEEDS ?? 6) }, (_, i) => i + 1);
const merge = { namespace: 'default', type: 'application/merge-patch+json' } as const;

async function storm(seed: number) {
  const random = randomFrom(seed);
  const clock = new FakeClock();
  const api = await startTestApi({ clock });
  const { client } = api;
  const kubelet = await startFakeKubelet({ client, clock, bindsAll: true });
  let stopControllers: (() => Promise<void>) | undefined;
  const start = async () => {
    const faulty = faultyClient(client, { random, refused: 0.08, lag: 12, broken: 0.03 });
    const informers = new SharedInformers({ client: faulty, log: silentLogger, clock });
    const controllers = createWorkloadControllers(() => ({ client: faulty, informers, log: silentLogger, clock }));
    const started = Promise.all(controllers.map((controller) => controller.start()));
    stopControllers = async () => {
      await started;
      await Promise.all([...controllers.map((controller) => controller.close()), informers.close()]);
    };
    await moving(started);
  };
  /** Lets time pass until `work` is done. */
  const moving = async <T>(work: Promise<T>): Promise<T> => {
    let done = false;
    const finish = work.finally(() => {
      done = true;
    });
    while (!done) await clock.advance(100);
    return finish;
  };
  const stop = new AbortController();
  return {
    random,
    client,
    start,
    crash: async () => moving(stopControllers?.() ?? Promise.resolve()),
    pass: async (steps: number) => {
      for (let step = 0; step < steps; step++) await clock.advance(Math.floor(random() * 400));
    },
    /** Calls `check` with all Pods after every change of one, in order. */
    async guard(check: (pods: Loose[]) => void): Promise<() => void> {
      const pods = new Map<string, Loose>();
      const problems: unknown[] = [];
      const { items, resourceVersion } = await client.list<Loose>(resources.pods, { namespace: 'default' });
      for (const pod of items) pods.set(pod.metadata.uid, pod);
      const watch = client.watch<Loose>(resources.pods, { namespace: 'default', resourceVersion }, stop.signal);
      void (async () => {
        for await (const { type, object } of watch) {
          if (type === 'BOOKMARK') continue;
          if (type === 'DELETED') pods.delete(object.metadata.uid);
          else pods.set(object.metadata.uid, object);
          try {
            check([...pods.values()].filter((pod) => !pod.metadata.deletionTimestamp));
          } catch (error) {
            problems.push(error);
          }
        }
      })();
      return () => {
        if (problems.length > 0) throw problems[0];
      };
    },
    async settled(check: () => Promise<void>): Promise<void> {
      let last: unknown;
      for (let turn = 0; turn < 400; turn++) {
        await clock.advance(1000);
        try {
          return await check();
        } catch (error) {
          last = error;
        }
      }
      throw last;
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await moving(stopControllers?.() ?? Promise.resolve());
      await moving(kubelet.fallSilent());
      await api[Symbol.asyncDispose]();
    },
  };
}

const isReady = (pod: Loose) =>
  pod.status?.conditions?.some((one: Loose) => one.type === 'Ready' && one.status === 'True');

function workload(name: string, replicas: number, spec: object = {}): KubeObject {
  const template = { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'a', image: 'x:0' }] } };
  return {
    metadata: { name, namespace: 'default' },
    spec: { replicas, selector: { matchLabels: { app: name } }, template, ...spec },
  } as KubeObject;
}

for (const seed of seeds) {
  test(`a ReplicaSet never has a Pod too many, and gets all it asks for (seed ${seed})`, async () => {
    await using world = await storm(seed);
    const { client, random } = world;
    let asked = 3;
    await client.create(resources.replicasets, workload('web', asked));
    const verify = await world.guard((pods) => assert.ok(pods.length <= asked, `${pods.length} Pods of ${asked}`));
    await world.start();
    for (let round = 0; round < 12; round++) {
      await world.pass(3);
      const dice = random();
      if (dice < 0.4) {
        asked += Math.floor(random() * 9);
        await client.patch(resources.replicasets, 'web', { spec: { replicas: asked } }, merge);
      } else if (dice < 0.7) {
        const { items } = await client.list<Loose>(resources.pods, { namespace: 'default' });
        const victim = items[Math.floor(random() * items.length)];
        if (victim) await client.delete(resources.pods, victim.metadata.name, { namespace: 'default' }).catch(() => {});
      } else {
        await world.crash();
        await world.start();
      }
    }
    await world.settled(async () => {
      const set = await client.get<Loose>(resources.replicasets, 'web', 'default');
      assert.equal(set.status.availableReplicas, asked);
      assert.equal((await client.list(resources.pods, { namespace: 'default' })).items.length, asked);
    });
    verify();
  });

  test(`a Deployment never has too few Pods that are ready, and ends with the last template (seed ${seed})`, async () => {
    await using world = await storm(seed + 1000);
    const { client, random } = world;
    const rollingUpdate = { maxSurge: 2, maxUnavailable: 1 };
    const revisionHistoryLimit = 2;
    await client.create(
      resources.deployments,
      workload('web', 6, { revisionHistoryLimit, strategy: { type: 'RollingUpdate', rollingUpdate } }),
    );
    await world.start();
    const status = async () => (await client.get<Loose>(resources.deployments, 'web', 'default')).status;
    await world.settled(async () => assert.equal((await status()).availableReplicas, 6));
    const verify = await world.guard((pods) => {
      const ready = pods.filter(isReady).length;
      assert.ok(ready >= 5, `${ready} Pods are ready`);
    });
    let image = 'x:0';
    for (let round = 1; round <= 6; round++) {
      image = `x:${random() < 0.3 ? 0 : round}`;
      const template = { spec: { containers: [{ name: 'a', image }] } };
      await client.patch(resources.deployments, 'web', { spec: { template } }, merge);
      await world.pass(Math.floor(random() * 12));
      if (random() < 0.3) {
        await world.crash();
        await world.start();
      }
    }
    await world.settled(async () => {
      const { observedGeneration, updatedReplicas, replicas, availableReplicas } = await status();
      const { metadata } = await client.get(resources.deployments, 'web', 'default');
      assert.deepEqual(
        [observedGeneration, updatedReplicas, replicas, availableReplicas],
        [metadata?.generation, 6, 6, 6],
      );
      const { items } = await client.list<Loose>(resources.pods, { namespace: 'default' });
      assert.deepEqual(
        items.map((pod) => pod.spec.containers[0].image),
        Array(6).fill(image),
      );
      const sets = await client.list(resources.replicasets, { namespace: 'default' });
      assert.ok(sets.items.length <= 1 + revisionHistoryLimit, `${sets.items.length} sets are kept`);
    });
    verify();
  });

  test(`a StatefulSet has each name once, in order, and ends with the last template (seed ${seed})`, async () => {
    await using world = await storm(seed + 2000);
    const { client, random } = world;
    await client.create(resources.statefulsets, workload('db', 4, { serviceName: 'db' }));
    const verify = await world.guard((pods) => {
      for (const pod of pods.filter((one) => !isReady(one))) {
        const ordinal = Number(pod.metadata.name.split('-')[1]);
        const lower = pods.filter((one) => Number(one.metadata.name.split('-')[1]) < ordinal);
        assert.equal(lower.length, ordinal, `${pod.metadata.name} came before one below it`);
      }
    });
    await world.start();
    let [image, replicas] = ['x:0', 4];
    await world.settled(async () => {
      assert.equal((await client.get<Loose>(resources.statefulsets, 'db', 'default')).status.readyReplicas, 4);
    });
    for (let round = 1; round <= 5; round++) {
      if (random() < 0.6) image = `x:${round}`;
      else replicas = 1 + Math.floor(random() * 6);
      const template = { spec: { containers: [{ name: 'a', image }] } };
      await client.patch(resources.statefulsets, 'db', { spec: { template, replicas } }, merge);
      await world.pass(Math.floor(random() * 15));
      if (random() < 0.4) {
        await world.crash();
        await world.start();
      }
    }
    await world.settled(async () => {
      const { status } = await client.get<Loose>(resources.statefulsets, 'db', 'default');
      assert.equal(status.updateRevision, status.currentRevision);
      assert.equal(status.readyReplicas, replicas);
      const { items } = await client.list<Loose>(resources.pods, { namespace: 'default' });
      const wanted = Array.from({ length: replicas }, (_, ordinal) => `db-${ordinal} ${image}`);
      assert.deepEqual(items.map((pod) => `${pod.metadata.name} ${pod.spec.containers[0].image}`).sort(), wanted);
    });
    verify();
  });
}
