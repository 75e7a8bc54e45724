/**
 * `sampan bench start`: how long a Pod takes to start, against the floor and against what else runs containers here; many at once; memory.
 * One run alternates the things compared, so that a machine that slows down slows all of them down.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { availableParallelism, freemem } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { currentInstance } from '../../cli/src/instance.ts';
import { compileServer } from '../../cli/src/setup/compile-server.ts';
import { serverEnvironment, serverFlags } from '../../cli/src/setup/server-process.ts';
import { createLogger } from '../../platform/src/base/log.ts';
import { findGuestArtifacts } from '../../platform/src/vmm/guest-artifacts.ts';
import { createQemuVmm } from '../../platform/src/vmm/qemu/qemu-vmm.ts';
import type { Vmm } from '../../platform/src/vmm/vmm.ts';
import { loadDemoImage } from '../../platform/test/integration/support/demo-image.ts';
import {
  parkedPids,
  startInstance,
  type TestInstance,
  vmmPids,
} from '../../platform/test/integration/support/instance.ts';
import { flagValue, json } from './flags.ts';
import { floorRun } from './floor.ts';
import { cpuMs, pssMib, type VmmMemory, vmmMemory, withoutTranslations } from './memory.ts';
import { openPeers } from './peers.ts';
import { deletePods, manyAtOnce, podRun } from './pods.ts';
import {
  atLeast,
  atMost,
  type BenchDocument,
  describeMachine,
  type Goal,
  print,
  round,
  type Series,
  summarise,
} from './report.ts';

const runs = Number(flagValue('--runs') ?? 20);
const atOnce = Number(process.env.BENCH_AT_ONCE ?? 50);
const idlePods = 20;
/** Between two runs: what one leaves behind (the pool filling up again) must not be paid by the next. */
const settleMs = 2_500;
/** As many floors as there are cores, side by side: cores that share caches, clocks or pipelines do less each when all of them work. */
const crowdedFloor = 'floor cpu, one on each core';
/** A pool that has not grown for so long is full. */
const poolCalmMs = 20_000;
/** What a Pod with a limit of 64 MiB gets: see machine-shape.ts. */
const shape = { vcpus: 1, memoryMib: 128 };

/** What the mappings of guest memory are named. */
const guestMemory = /memfd:|memory|template/;

const progress = (text: string) => process.stderr.write(`${text}\n`);

async function main(): Promise<void> {
  progress('starting an instance of its own');
  // As a server is run; tests want more words.
  process.env.SAMPAN_LOG_LEVEL ??= 'info';
  const { root, cache } = currentInstance();
  await compileServer({ root, flags: serverFlags, environment: serverEnvironment(cache) });
  process.env.SAMPAN_POOL ??= '';
  const instance = await startInstance('bench');
  const values: Record<string, number[]> = { floor: [], 'floor cpu': [], [crowdedFloor]: [], pod: [] };
  let vmm: Vmm | undefined;
  let fresh: VmmMemory | undefined;
  try {
    await loadDemoImage(instance);
    const idleServer = pssMib(serverPid(instance));
    vmm = await openFloor(instance);
    const image = await demoBlockImage(instance);
    const peers = await openPeers(progress);
    try {
      const floorOptions = { vmm, run: join(instance.run, 'floor'), image, shape };
      await vmm.prepareTemplate(shape);
      fresh = await freshMemory(instance);
      await floorRun(floorOptions);
      await podRun(instance.client, instance.home, 'warm-up');
      for (let run = 0; run < runs; run++) {
        progress(`run ${run + 1} of ${runs}`);
        await delay(settleMs);
        const floor = await floorRun(floorOptions);
        values.floor!.push(floor.ms);
        values['floor cpu']!.push(floor.cpuMs);
        await delay(settleMs);
        const crowded = await Promise.all(Array.from({ length: availableParallelism() }, () => floorRun(floorOptions)));
        values[crowdedFloor]!.push(...crowded.map(({ cpuMs }) => cpuMs));
        await delay(settleMs);
        values.pod!.push(await podRun(instance.client, instance.home, `run-${run}`));
        await delay(settleMs);
        for (const peer of peers) values[peer.name] = [...(values[peer.name] ?? []), await peer.run()];
      }
    } finally {
      for (const peer of peers) await peer.close();
    }
    const acceleration = (await vmm.capabilities()).acceleration;
    await touchMemory(atOnce * 80);
    const crowds: Record<string, Crowd> = {};
    for (const which of ['first', 'second']) {
      progress('waiting for the pool');
      crowds[which] = await crowd(instance, which, fresh);
    }
    print(documentOf({ values, acceleration, crowds, idleServer }), json);
  } finally {
    await vmm?.teardown();
    await instance.stop();
  }
}

/** Many Pods at once. The first time nobody expects them; the second time the pool has had time to grow to what the first would have taken. */
interface Crowd {
  allRunningMs: number;
  /** Of the clones parked before, each, MiB. */
  parked: number[];
  /** CPU time that parking them took, each, ms. */
  parkedCpuMs: number[];
  /** Of Pods that are left running. */
  memory: VmmMemory[];
  server: number;
}

async function crowd(instance: TestInstance, which: string, fresh: VmmMemory): Promise<Crowd> {
  const pool = await filledPool(instance);
  progress(`${atOnce} Pods at once, the ${which} time, ${pool.length} clones parked`);
  const names = Array.from({ length: atOnce }, (_, index) => `${which}-${index}`);
  const parked = pool.map(pssMib);
  const parkedCpuMs = pool.map(cpuMs);
  const allRunningMs = await manyAtOnce(instance.client, names);
  await deletePods(instance.client, names.slice(idlePods));
  // Deleted without grace, they are gone from the API before their machines are.
  for (let waited = 0; vmmPids(instance).length > idlePods && waited < 60_000; waited += 100) await delay(100);
  await delay(settleMs);
  const memory = vmmPids(instance).map((pid) => withoutTranslations(vmmMemory(pid, guestMemory), fresh));
  const server = pssMib(serverPid(instance));
  await deletePods(instance.client, names.slice(0, idlePods));
  return { allRunningMs, parked, parkedCpuMs, memory, server };
}

/** The VMMs of parked clones, once no more are coming. */
async function filledPool(instance: TestInstance): Promise<number[]> {
  let parked = parkedPids(instance);
  for (let calm = 0, waited = 0; calm < poolCalmMs && waited < 600_000; calm += 250, waited += 250) {
    await delay(250);
    const now = parkedPids(instance);
    if (now.length !== parked.length) calm = 0;
    parked = now;
  }
  return parked;
}

interface Measured {
  values: Record<string, number[]>;
  acceleration: string;
  crowds: Record<string, Crowd>;
  idleServer: number;
}

function documentOf({ values, acceleration, crowds, idleServer }: Measured): BenchDocument {
  const series: Record<string, Series> = Object.fromEntries(
    Object.entries(values).map(([name, list]) => [name, summarise('ms', list)]),
  );
  series['server, idle'] = summarise('MiB', [idleServer]);
  const p50 = (name: string) => series[name]!.p50;
  const possiblePerSecond = (floorCpu: string) => availableParallelism() / (p50(floorCpu) / 1000);
  const ratios = Object.fromEntries(
    Object.keys(values)
      .filter((name) => !['pod', 'floor cpu', crowdedFloor].includes(name))
      .map((name) => [`pod/${name}`, round(p50('pod') / p50(name))]),
  );
  for (const [which, { allRunningMs, parked, parkedCpuMs, memory, server }] of Object.entries(crowds)) {
    for (const part of ['guestPrivate', 'guestShared', 'tcg', 'own', 'total'] as const)
      series[`idle Pod of the ${which} crowd: ${part}`] = summarise(
        'MiB',
        memory.map((one) => one[part]),
      );
    series[`server, ${which} crowd`] = summarise('MiB', [server]);
    series[`parked before the ${which} crowd, each`] = summarise('MiB', parked);
    series[`parked before the ${which} crowd, CPU of each`] = summarise('ms', parkedCpuMs);
    series[`${atOnce} at once, ${which} crowd`] = summarise('ms', [allRunningMs]);
    const perSecond = atOnce / (allRunningMs / 1000);
    ratios[`throughput/possible, ${which} crowd`] = round(perSecond / possiblePerSecond('floor cpu'));
    ratios[`throughput/floors on all cores, ${which} crowd`] = round(perSecond / possiblePerSecond(crowdedFloor));
  }
  return {
    bench: 'start',
    machine: describeMachine(acceleration),
    series,
    ratios,
    goals: goalsOf(series, ratios, acceleration === 'kvm'),
  };
}

function goalsOf(series: Record<string, Series>, ratios: Record<string, number>, kvm: boolean): Goal[] {
  const p50 = (name: string) => series[name]!.p50;
  return [
    atMost('pod/floor', 1.2, ratios['pod/floor']!),
    ...(kvm
      ? [atMost('pod', 60, p50('pod'), 'ms')]
      : [atMost('floor', 350, p50('floor'), 'ms'), atMost('pod', 420, p50('pod'), 'ms')]),
    atLeast('throughput of the first crowd, of what the cores allow', 0.8, ratios['throughput/possible, first crowd']!),
    atLeast('throughput of a crowd like the last', 0.8, ratios['throughput/possible, second crowd']!),
    ...['first', 'second'].flatMap((which) => [
      atMost(
        `private guest memory of an idle Pod, ${which} crowd`,
        24,
        p50(`idle Pod of the ${which} crowd: guestPrivate`),
        'MiB',
      ),
      atMost(`the VMM's own memory, ${which} crowd`, 15, p50(`idle Pod of the ${which} crowd: own`), 'MiB'),
      atMost(
        `memory of an idle Pod, ${which} crowd`,
        kvm ? 35 : 90,
        p50(`idle Pod of the ${which} crowd: total`),
        'MiB',
      ),
    ]),
    atMost('idle server', 130, p50('server, idle'), 'MiB'),
  ];
}

/** The driver alone, with directories of its own and without a pool: a clone from the template every time. */
const openFloor = (instance: TestInstance): Promise<Vmm> => openDriver(instance, { name: 'floor', pool: 0 });

async function openDriver(instance: TestInstance, { name, pool }: { name: string; pool: number }): Promise<Vmm> {
  const guest = await findGuestArtifacts(instance.env.SAMPAN_GUEST_DIR!);
  const launcherPath = join(instance.env.SAMPAN_HOST_DIR!, 'sampan-launch');
  return createQemuVmm({
    run: join(instance.run, name),
    guest,
    launcherPath,
    tag: `${instance.tag.slice(0, 5)}${name[0]}`,
    log: createLogger({ level: 'warn' }),
    pool,
  });
}

/**
 * Writes to so much memory once and gives it back, through a file on tmpfs. On a machine that is a VM itself, memory that was never used before has
 * to be found by its own host page by page; fifty machines would pay for that where the floor, which uses the same pages again and again, does not.
 */
async function touchMemory(mib: number): Promise<void> {
  const path = `/dev/shm/sampan-bench-${process.pid}`;
  const file = await open(path, 'wx', 0o600);
  try {
    const piece = Buffer.alloc(2 ** 20, 1);
    for (let written = 0; written < Math.min(mib, freemem() / 2 ** 21); written++) await file.write(piece);
  } finally {
    await file.close();
    await rm(path);
  }
}

/**
 * A clone that was parked as it is: it has read the template's state, and its guest has not run. The one with the least anonymous memory of several, because
 * what reading that state leaves free is given back at once or later (QEMU trims its heap when it is idle), and translations take it up.
 */
async function freshMemory(instance: TestInstance): Promise<VmmMemory> {
  const vmm = await openDriver(instance, { name: 'parked', pool: 12 });
  const run = join(instance.run, 'parked');
  try {
    await vmm.prepareTemplate(shape);
    const pool = readdirSync(join(run, 'pool'));
    const measured = pool.map((name) =>
      vmmMemory(Number(readFileSync(join(run, 'pool', name, 'pid'), 'utf8').split(' ')[0]), guestMemory),
    );
    return measured.reduce((least, one) => (one.anonymous < least.anonymous ? one : least));
  } finally {
    await vmm.teardown();
  }
}

async function demoBlockImage(instance: TestInstance): Promise<string> {
  const images = JSON.parse((await instance.sampan(['image', 'ls', '-o', 'json'])).stdout) as {
    repoTags: string[];
    blockImagePath: string;
  }[];
  return images.find((image) => image.repoTags.includes('localhost/demo:1'))!.blockImagePath;
}

function serverPid(instance: TestInstance): number {
  return (JSON.parse(readFileSync(join(instance.home, 'server.json'), 'utf8')) as { pid: number }).pid;
}

await main();
