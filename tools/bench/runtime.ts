/**
 * `sampan bench runtime`: the runtime as a part of others, against what they use otherwise: Podman and containerd starting a container with crun,
 * with runc, and with our handlers; exec, stdout and memory of a running one; critest's own benchmark, exec and fifty Pods at once on our CRI and on
 * containerd's. One run alternates the things compared, so that a machine that slows down slows all of them down. What this machine cannot run is left
 * out and said on stderr; what fails costs its own figures and no others. `--only starts,inside,cri` runs a part; `--runs N` (default 20); for the script alone `--pods N`
 * (50), `--minutes N` (12): about so long, with fewer runs where that is too short.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { ContainerdLab } from '../../platform/test/integration/support/containerd-lab.ts';
import { PodmanLab } from '../../platform/test/integration/support/podman-lab.ts';
import { enterMountNamespace, serveRegistries } from '../critest/registries.ts';
import { flagValue, json } from './flags.ts';
import { print } from './report.ts';
import { openCriExec } from './runtime/cri-exec.ts';
import { type CriPeer, openCriPeers } from './runtime/cri-peers.ts';
import { benchmarkOf } from './runtime/critest-benchmark.ts';
import { crowdOf } from './runtime/crowd.ts';
import { documentOf } from './runtime/goals.ts';
import { type Inside, isAccelerated, machineMemory, openInside } from './runtime/inside.ts';
import { Recorder } from './runtime/recorder.ts';
import { containerdWays, openCrun, podmanWays, workingWays } from './runtime/ways.ts';

const runs = Number(flagValue('--runs') || 20);
const pods = Number(flagValue('--pods') || 50);
const parts = (flagValue('--only') || 'starts,inside,cri').split(',');
/** Rounds of critest's benchmark, and its samples in each. */
const [criRounds, criSamples] = [runs < 5 ? 1 : 2, Math.min(5, runs)];
const throughputMib = 64;
/** Between two runs: what one leaves behind (a machine going, a pool that fills up and rehearses) must not be paid by the next. */
const settleMs = 3_000;
/** Before an exec: what the one before it, or a flood, leaves to be cleared away is not its own. */
const calmMs = 200;
/** Of a way: one may be the machine's fault. */
const mostFailures = 3;

async function starts(recorder: Recorder, podman: PodmanLab, containerd: ContainerdLab): Promise<void> {
  using crun = await openCrun();
  let ways = await workingWays([...podmanWays(podman, crun), ...containerdWays(containerd)], (text) =>
    recorder.problem(text),
  );
  const failures = new Map<string, number>();
  for (const _round of recorder.rounds('starts', runs, 0.35))
    for (const way of ways) {
      await delay(settleMs);
      const began = performance.now();
      const { code, stderr } = await way.run();
      if (code === 0) recorder.note(`run: ${way.name}`, 'ms', performance.now() - began);
      else {
        recorder.problem(`${way.name}: ${stderr.trim().slice(-400)}`);
        failures.set(way.name, (failures.get(way.name) ?? 0) + 1);
        ways = ways.filter(({ name }) => (failures.get(name) ?? 0) < mostFailures);
      }
    }
}

/** Tells whether machines run on KVM. */
async function running(recorder: Recorder, podman: PodmanLab): Promise<boolean> {
  using crun = await openCrun();
  const open: Inside[] = [];
  try {
    for (const kind of ['crun', 'vm', 'namespace'] as const)
      await recorder.attempt(
        `inside ${kind} is left out`,
        async () => void open.push(await openInside(podman, kind, crun)),
      );
    await delay(settleMs);
    for (const { total, own } of machineMemory(podman)) {
      recorder.note('memory of a VM', 'MiB', total);
      recorder.note("memory of a VM: the VMM's own", 'MiB', own);
    }
    for (const inside of open) await inside.exec();
    const accelerated = isAccelerated(podman);
    for (const _round of recorder.rounds('inside', runs, 0.25)) {
      for (const inside of open) {
        await delay(calmMs);
        recorder.note(`exec: ${inside.name}`, 'ms', await inside.exec());
      }
      for (const inside of open) {
        recorder.note(`of an exec, command and runtime: ${inside.name}`, 'ms', await inside.ask('state'));
        recorder.note(`of an exec, and one word with its guest: ${inside.name}`, 'ms', await inside.ask('ps'));
      }
      for (const inside of open)
        recorder.note(`stdout: ${inside.name}`, 'MB/s', await inside.throughput(throughputMib));
    }
    return accelerated;
  } finally {
    for (const inside of open) await inside.close();
  }
}

async function throughCri(recorder: Recorder): Promise<void> {
  await using _registries = await serveRegistries();
  await using peers = await openCriPeers((text) => recorder.problem(text));
  let list: CriPeer[] = peers.list;
  const each = async (what: string, work: (peer: CriPeer) => Promise<void>) => {
    for (const peer of list) {
      recorder.progress(`${what}: ${peer.name}`);
      await delay(settleMs);
      await recorder.attempt(`${what}: ${peer.name}`, () => work(peer));
    }
  };
  // The first Pod of a shape makes its template, and every server has the image then. A peer that cannot do that is left out.
  const warm: CriPeer[] = [];
  await each('warming up', async (peer) => {
    await crowdOf(peer, 1);
    warm.push(peer);
  });
  list = warm;
  await execThroughCri(recorder, list);
  for (const _round of recorder.rounds('critest -benchmark', criRounds, 0.5))
    await each('critest -benchmark', async (peer) => {
      for (const [operation, list] of await benchmarkOf(peer, criSamples))
        for (const value of list) recorder.note(`critest ${operation}: ${peer.name}`, 'ms', value);
    });
  await each(`${pods} Pods at once`, async (peer) => {
    const { seconds, outside, guest } = await crowdOf(peer, pods);
    recorder.note(`${pods} Pods at once: ${peer.name}`, 's', seconds);
    if (outside !== undefined)
      recorder.note(`memory of a Pod outside guest and containers: ${peer.name}`, 'MiB', outside);
    if (guest !== undefined) recorder.note(`memory of a Pod's guest: ${peer.name}`, 'MiB', guest);
  });
}

async function execThroughCri(recorder: Recorder, peers: CriPeer[]): Promise<void> {
  await recorder.attempt('exec through CRI', async () => {
    await using cleanUp = new AsyncDisposableStack();
    const open: { name: string; exec: () => Promise<number> }[] = [];
    for (const peer of peers) open.push({ name: peer.name, ...cleanUp.use(await openCriExec(peer)) });
    for (const { exec } of open) await exec();
    for (const _round of recorder.rounds('exec through CRI', runs, 0.1))
      for (const { name, exec } of open) {
        await delay(calmMs);
        recorder.note(`exec through CRI: ${name}`, 'ms', await exec());
      }
  });
}

/** In laboratories of their own, which are gone afterwards. Tells whether machines run on KVM. */
async function underEngines(recorder: Recorder): Promise<boolean> {
  let accelerated = false;
  await recorder.attempt('Podman and containerd', async () => {
    await using podman = await PodmanLab.open('bench-podman');
    if (parts.includes('starts'))
      await recorder.attempt('starts', async () => {
        const containerd = await ContainerdLab.start();
        await starts(recorder, podman, containerd).finally(() => containerd.stop());
      });
    if (parts.includes('inside'))
      await recorder.attempt('inside', async () => {
        accelerated = await running(recorder, podman);
      });
  });
  return accelerated;
}

// Registries answer by their public names in there.
enterMountNamespace();
const recorder = new Recorder(Number(flagValue('--minutes') || 12));
const kvm = parts.some((part) => part !== 'cri') ? await underEngines(recorder) : false;
if (parts.includes('cri')) await recorder.attempt('CRI', () => throughCri(recorder));
print(documentOf(recorder.series(), kvm), json);
for (const problem of recorder.problems) process.stderr.write(`problem: ${problem.split('\n')[0]}\n`);
if (recorder.problems.length > 0) process.exitCode = 1;
