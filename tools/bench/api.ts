/**
 * `sampan bench api`: the API server on its default store against kube-apiserver over etcd, and etcd alone as the yardstick of what the
 * disk allows. One run alternates the servers compared, so that a machine that slows down slows all of them down.
 * BENCH_SCALE=0.1 does a tenth of everything.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { silentLogger } from '../../platform/src/base/log.ts';
import { openEtcdStore } from '../../platform/src/store/etcd/etcd-store.ts';
import type { Store } from '../../platform/src/store/store.ts';
import { debianEtcd, newEtcd, startEtcd } from '../../platform/test/integration/support/etcd-lab.ts';
import { goProgram } from '../conformance/go-programs.ts';
import { all, Load, ratePerSecond } from './api/load.ts';
import { configMap, pod } from './api/objects.ts';
import { apiDocument, type Measured } from './api/results.ts';
import { timeControllers } from './api/scaling.ts';
import { cpuMs, memoryMib, peakMib, resetPeak, startKubeApiserver, startSampan, type Target } from './api/targets.ts';
import { watchLoad } from './api/watch-load.ts';
import { flagValue, json } from './flags.ts';
import { print } from './report.ts';

const runs = Number(flagValue('--runs') ?? 20);
const scale = Number(process.env.BENCH_SCALE ?? 1);
const clientCounts = [1, 16, 64];
const roundMs = 500;
/** Rounds of writing that are not counted: code is compiled and files grow to size. */
const warmUps = 3;
const pods = Math.round(10_000 * scale);
const objects = Math.round(50_000 * scale);
const watchers = Math.round(1_000 * scale);
const events = 100;
const replicas = Math.max(20, Math.round(200 * scale));
const bound = Math.max(20, Math.round(200 * scale));
const settleMs = 10_000;
/** How often memory is looked at once all objects are there, and how long apart. */
const looks = 6;
const lookEveryMs = 5_000;

const progress = (text: string) => process.stderr.write(`${text}\n`);
const values: Measured['values'] = {};
const note = (name: string, unit: string, ...more: number[]) => {
  values[name] ??= { unit, list: [] };
  values[name].list.push(...more);
};

async function main(): Promise<void> {
  const etcdBinary = await etcdForBench();
  const targets = await openTargets(etcdBinary);
  const yardstick = await openYardstick(etcdBinary);
  try {
    for (const target of targets) await prepareTarget(target);
    await delay(settleMs);
    for (const target of targets) note(`${target.name}: memory, idle`, 'MiB', memoryMib(target));
    await measureReads(targets);
    await measureWatches(targets);
    await measureMemory(targets);
    // Last: how many objects this leaves behind depends on how fast they are written.
    await measureWrites(targets, yardstick?.store);
  } finally {
    await yardstick?.close();
    for (const target of targets) await target.close();
  }
  progress(`a Deployment of ${replicas} replicas, ${bound} Pods to a node`);
  const { up, down, boundMs } = await timeControllers({ replicas, bound });
  note(`sampan: Deployment, 0 to ${replicas} Pods`, 'ms', up);
  note(`sampan: Deployment, ${replicas} to 0 Pods`, 'ms', down);
  note('sampan: Pod, creation until bound', 'ms', ...boundMs);
  print(apiDocument({ values, clientCounts, hasPeer: targets.length > 1 }), json);
}

async function etcdForBench(): Promise<string | undefined> {
  const newer = await newEtcd();
  if (newer.path) return newer.path;
  progress(newer.missing ?? '');
  return debianEtcd();
}

async function openTargets(etcdBinary: string | undefined): Promise<Target[]> {
  const targets = [await startSampan()];
  try {
    if (!etcdBinary) throw new Error('there is no etcd');
    const binary = process.env.SAMPAN_KUBE_APISERVER || (await goProgram('apiserver'));
    targets.push(await startKubeApiserver(binary, etcdBinary));
  } catch (error) {
    progress(`kube-apiserver is not compared: ${(error as Error).message}`);
  }
  return targets;
}

async function openYardstick(
  etcdBinary: string | undefined,
): Promise<{ store: Store; close(): Promise<void> } | undefined> {
  if (!etcdBinary) return undefined;
  const timing = ['--heartbeat-interval', '100', '--election-timeout', '1000'];
  const etcd = await startEtcd({ binary: etcdBinary, parent: '/var/tmp', more: timing });
  const store = await openEtcdStore({ endpoints: [etcd.endpoint], log: silentLogger });
  const close = async () => {
    await store.close();
    await etcd.dispose();
  };
  return { store, close };
}

async function prepareTarget(target: Target): Promise<void> {
  const load = new Load(target, 1);
  for (const name of ['writes', 'pods', 'watched', 'filler']) {
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
    await load.need('POST', '/api/v1/namespaces', JSON.stringify(namespace));
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } };
    await load.need('POST', `/api/v1/namespaces/${name}/serviceaccounts`, JSON.stringify(account));
  }
  load.close();
}

/** Each write is a new object, answered when it is durable. */
async function measureWrites(targets: Target[], etcd: Store | undefined): Promise<void> {
  let names = 0;
  const writers: [string, number, (clients: number) => Promise<number>][] = [];
  for (const clients of clientCounts) {
    for (const target of targets) {
      const load = new Load(target, clients);
      const write = () => load.need('POST', '/api/v1/namespaces/writes/configmaps', configMap(`w-${names++}`));
      writers.push([target.name, clients, () => ratePerSecond(clients, roundMs, write)]);
    }
    if (!etcd) continue;
    const write = () =>
      etcd.commit([
        { key: `/registry/configmaps/writes/w-${names}`, value: Buffer.from(configMap(`w-${names++}`)), expect: 0 },
      ]);
    writers.push(['etcd alone', clients, () => ratePerSecond(clients, roundMs, write)]);
  }
  for (let run = 1 - warmUps; run <= runs; run++) {
    progress(run > 0 ? `writes, run ${run} of ${runs}` : 'writes, warming up');
    for (const [name, clients, measure] of writers) {
      const rate = await measure(clients);
      if (run > 0) note(`${name}: writes, ${clients} clients`, '1/s', rate);
    }
  }
}

async function measureReads(targets: Target[]): Promise<void> {
  for (const target of targets) {
    progress(`${target.name}: ${pods} Pods`);
    const load = new Load(target, 32);
    const began = performance.now();
    await all(pods, 32, (i) => load.need('POST', '/api/v1/namespaces/pods/pods', pod(`pod-${i}`)));
    note(`${target.name}: Pods created, 32 clients`, '1/s', pods / ((performance.now() - began) / 1000));
    load.close();
  }
  for (const target of targets) resetPeak(target);
  for (let run = 0; run <= runs; run++) {
    for (const target of targets) {
      const load = new Load(target, 1);
      for (let i = 0; i < 50; i++) {
        const { ms } = await load.need('GET', `/api/v1/namespaces/pods/pods/pod-${(i * 7919 + run) % pods}`);
        if (run > 0) note(`${target.name}: GET`, 'ms', ms);
      }
      const { ms, body } = await load.need('GET', '/api/v1/namespaces/pods/pods');
      if (run === 0 && JSON.parse(body.toString()).items.length !== pods) throw new Error(`${target.name} lost Pods`);
      if (run > 0) note(`${target.name}: LIST of ${pods} Pods`, 'ms', ms);
      load.close();
    }
  }
  for (const target of targets) note(`${target.name}: memory, peak while read`, 'MiB', peakMib(target));
}

async function measureWatches(targets: Target[]): Promise<void> {
  for (const target of targets) {
    progress(`${target.name}: ${watchers} watchers, ${events} events`);
    const { deliveriesMs, cpuUs, missing } = await watchLoad(target, { watchers, events });
    for (const ms of deliveriesMs) note(`${target.name}: watch delivery`, 'ms', ms);
    note(`${target.name}: CPU of a delivery`, 'us', cpuUs);
    note(`${target.name}: deliveries missing`, '', missing);
  }
}

async function measureMemory(targets: Target[]): Promise<void> {
  for (const target of targets) {
    const load = new Load(target, 32);
    const there = await countOf(load);
    progress(`${target.name}: ${objects} objects`);
    await all(Math.max(0, objects - there), 32, (i) =>
      load.need('POST', '/api/v1/namespaces/filler/configmaps', configMap(`f-${i}`)),
    );
    load.close();
    await delay(settleMs);
    for (let look = 0; look < looks; look++, await delay(lookEveryMs))
      note(`${target.name}: memory, ${objects} objects`, 'MiB', memoryMib(target));
    const before = cpuMs(target);
    await delay(lookEveryMs);
    note(`${target.name}: CPU, idle with them`, 'ms/s', (cpuMs(target) - before) / (lookEveryMs / 1000));
  }
}

async function countOf(load: Load): Promise<number> {
  let count = 0;
  for (const resource of ['configmaps', 'pods']) {
    const { body } = await load.need('GET', `/api/v1/${resource}?limit=1`);
    const { items, metadata } = JSON.parse(body.toString());
    count += items.length + (metadata.remainingItemCount ?? 0);
  }
  return count;
}

await main();
