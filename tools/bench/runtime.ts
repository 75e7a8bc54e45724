/**
 * `sampan bench runtime`: the runtime as a part of others, against what they use otherwise: Podman and containerd starting a container with crun,
 * with runc, and with our handlers; exec, stdout and memory of a running one. One run alternates the things compared, so that a machine that
 * slows down slows all of them down. What this machine cannot run is left out and said on stderr.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ContainerdLab } from '../../platform/test/integration/support/containerd-lab.ts';
import { crunScript, PodmanLab } from '../../platform/test/integration/support/podman-lab.ts';
import { atLeast, atMost, type BenchDocument, describeMachine, type Goal, print, round, summarise } from './report.ts';
import { type Inside, isAccelerated, machineMemory, openInside } from './runtime/inside.ts';
import { containerdWays, podmanWays, workingWays } from './runtime/ways.ts';

const json = process.argv.includes('--json');
const runs = Number(process.argv[process.argv.indexOf('--runs') + 1] || 20);
const throughputMib = 64;
/** Between two runs: what one leaves behind (a pool filling up again) must not be paid by the next. */
const settleMs = 1_000;

const values: Record<string, { unit: string; list: number[] }> = {};
const progress = (text: string) => process.stderr.write(`${text}\n`);

function note(name: string, unit: string, value: number): void {
  values[name] ??= { unit, list: [] };
  values[name].list.push(value);
}

async function starts(podman: PodmanLab, containerd: ContainerdLab, crun: string): Promise<void> {
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
async function running(podman: PodmanLab, crun: string): Promise<boolean> {
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

const podman = await PodmanLab.open('bench-podman');
const containerd = await ContainerdLab.start();
try {
  const crun = join(podman.home, 'crun');
  await writeFile(crun, crunScript, { mode: 0o755 });
  await starts(podman, containerd, crun);
  print(documentOf(await running(podman, crun)), json);
} finally {
  await containerd.stop();
  await podman[Symbol.asyncDispose]();
}
