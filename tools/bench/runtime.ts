/**
 * `sampan bench runtime`: the runtime as a part of others, against what they use otherwise: Podman and containerd starting a container with crun,
 * with runc, and with our handlers; exec, stdout and memory of a running one; critest's own benchmark and fifty Pods at once on our CRI and on
 * containerd's. One run alternates the things compared, so that a machine that slows down slows all of them down. What this machine cannot run is left
 * out and said on stderr. `--only starts,inside,cri` runs a part; `--runs N` (default 20), `--pods N` (50).
 */
import { setTimeout as delay } from 'node:timers/promises';
import { ContainerdLab } from '../../platform/test/integration/support/containerd-lab.ts';
import { PodmanLab } from '../../platform/test/integration/support/podman-lab.ts';
import { enterMountNamespace, serveRegistries } from '../critest/registries.ts';
import { atLeast, atMost, type BenchDocument, describeMachine, type Goal, print, round, summarise } from './report.ts';
import { type CriPeer, openCriPeers } from './runtime/cri-peers.ts';
import { benchmarkOf } from './runtime/critest-benchmark.ts';
import { crowdOf } from './runtime/crowd.ts';
import { type Inside, isAccelerated, machineMemory, openInside } from './runtime/inside.ts';
import { containerdWays, openCrun, podmanWays, workingWays } from './runtime/ways.ts';

const flagValue = (flag: string) => (process.argv.includes(flag) ? process.argv[process.argv.indexOf(flag) + 1] : '');
const json = process.argv.includes('--json');
const runs = Number(flagValue('--runs') || 20);
const pods = Number(flagValue('--pods') || 50);
const parts = (flagValue('--only') || 'starts,inside,cri').split(',');
/** Rounds of critest's benchmark, and its samples in each. */
const [criRounds, criSamples] = [runs < 5 ? 1 : 2, Math.min(5, runs)];
const throughputMib = 64;
/** Between two runs: what one leaves behind (a pool filling up again) must not be paid by the next. */
const settleMs = 1_000;

const values: Record<string, { unit: string; list: number[] }> = {};
const progress = (text: string) => process.stderr.write(`${text}\n`);

function note(name: string, unit: string, value: number): void {
  values[name] ??= { unit, list: [] };
  values[name].list.push(value);
}

async function starts(podman: PodmanLab, containerd: ContainerdLab): Promise<void> {
  using crun = await openCrun();
  const ways = await workingWays([...podmanWays(podman, crun), ...containerdWays(containerd)], progress);
  for (let run = 0; run < runs; run++) {
    progress(`starts: run ${run + 1} of ${runs}`);
    for (const way of ways) {
      await delay(settleMs);
      const began = performance.now();
      const { code, stderr } = await way.run();
      if (code !== 0) throw new Error(`${way.name}: ${stderr}`);
      note(`run: ${way.name}`, 'ms', performance.now() - began);
    }
  }
}

/** Tells whether machines run on KVM. */
async function running(podman: PodmanLab): Promise<boolean> {
  using crun = await openCrun();
  const open: Inside[] = [];
  try {
    for (const kind of ['crun', 'vm', 'namespace'] as const)
      await openInside(podman, kind, crun).then(
        (inside) => open.push(inside),
        (error) => progress(`inside ${kind} is left out: ${error.message}`),
      );
    await delay(settleMs);
    for (const { total, own } of machineMemory(podman)) {
      note('memory of a VM', 'MiB', total);
      note("memory of a VM: the VMM's own", 'MiB', own);
    }
    for (const inside of open) await inside.exec();
    const accelerated = isAccelerated(podman);
    for (let run = 0; run < runs; run++) {
      progress(`inside: run ${run + 1} of ${runs}`);
      for (const inside of open) note(`exec: ${inside.name}`, 'ms', await inside.exec());
      for (const inside of open) note(`stdout: ${inside.name}`, 'MiB/s', await inside.throughput(throughputMib));
    }
    return accelerated;
  } finally {
    for (const inside of open) await inside.close();
  }
}

async function throughCri(): Promise<void> {
  await using _registries = await serveRegistries();
  await using peers = await openCriPeers(progress);
  // A peer that fails once is left out from then on.
  let list: CriPeer[] = peers.list;
  const each = async (what: string, work: (peer: CriPeer) => Promise<void>) => {
    for (const peer of list) {
      progress(`${what}: ${peer.name}`);
      await delay(settleMs);
      await work(peer).catch((error) => {
        progress(`${what}: ${peer.name} is left out: ${error.message}`);
        list = list.filter((other) => other !== peer);
      });
    }
  };
  // The first Pod of a shape makes its template, and every server has the image then.
  await each('warming up', async (peer) => void (await crowdOf(peer, 1)));
  for (let round = 0; round < criRounds; round++)
    await each('critest -benchmark', async (peer) => {
      for (const [operation, list] of await benchmarkOf(peer, criSamples))
        for (const value of list) note(`critest ${operation}: ${peer.name}`, 'ms', value);
    });
  await each(`${pods} Pods at once`, async (peer) => {
    const { seconds, outside, guest } = await crowdOf(peer, pods);
    note(`${pods} Pods at once: ${peer.name}`, 's', seconds);
    if (outside !== undefined) note(`memory of a Pod outside guest and containers: ${peer.name}`, 'MiB', outside);
    if (guest !== undefined) note(`memory of a Pod's guest: ${peer.name}`, 'MiB', guest);
  });
}

function documentOf(kvm: boolean): BenchDocument {
  const series = Object.fromEntries(
    Object.entries(values).map(([name, { unit, list }]) => [name, summarise(unit, list)]),
  );
  const p50 = (name: string) => series[name]?.p50 ?? Number.NaN;
  const ratios: Record<string, number> = {};
  for (const [door, base] of [
    ['podman', 'crun'],
    ['ctr', 'runc'],
  ] as const)
    for (const handler of ['vm', 'namespace'])
      ratios[`run: ${door}, sampan ${handler}/${base}`] = round(
        p50(`run: ${door}, sampan ${handler}`) / p50(`run: ${door}, ${base}`),
      );
  const goals: Goal[] = [
    atMost('podman run with namespace, of crun', 1, ratios['run: podman, sampan namespace/crun']!),
    atMost('ctr run with namespace, of runc', 1, ratios['run: ctr, sampan namespace/runc']!),
    atMost('exec into a VM, over exec on the host', 15, p50('exec: sampan vm') - p50('exec: on the host'), 'ms'),
    atLeast('stdout of a VM', kvm ? 200 : 40, p50('stdout: sampan vm'), 'MiB/s'),
    ...(kvm ? [atMost("the VMM's own memory", 15, p50("memory of a VM: the VMM's own"), 'MiB')] : []),
    ...['CreatePod', 'CreateContainer', 'StartContainer'].map((operation) => {
      const at = (name: string) => p50(`critest ${operation}: ${name}`);
      return atMost(
        `critest ${operation} with namespace, of containerd and runc`,
        1,
        at('sampan namespace') / at('containerd, runc'),
      );
    }),
  ];
  const known = (value: number | string) => !Number.isNaN(value);
  return {
    bench: 'runtime',
    machine: describeMachine(kvm ? 'kvm' : 'tcg'),
    series,
    ratios: Object.fromEntries(Object.entries(ratios).filter(([, ratio]) => known(ratio))),
    goals: goals.filter(({ measured }) => known(measured)),
  };
}

/** In laboratories of their own, which are gone afterwards. */
async function withPodman(work: (podman: PodmanLab) => Promise<boolean>): Promise<boolean> {
  await using podman = await PodmanLab.open('bench-podman');
  // Awaited here: otherwise the laboratory goes while it is used.
  return await work(podman).catch((error) => {
    // Told before what clearing up after it may say.
    progress(String(error?.stack ?? error));
    throw error;
  });
}

// Registries answer by their public names in there.
enterMountNamespace();
const kvm = await withPodman(async (podman) => {
  if (parts.includes('starts')) {
    const containerd = await ContainerdLab.start();
    await starts(podman, containerd).finally(() => containerd.stop());
  }
  return parts.includes('inside') ? running(podman) : false;
});
if (parts.includes('cri')) await throughCri();
print(documentOf(kvm), json);
