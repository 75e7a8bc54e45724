/** kubelet's stats/summary (k8s.io/kubelet stats/v1alpha1), from the runtime's statistics. */
import { toTime } from '../../base/clock.ts';
import type * as cri from '../../runtime/generated/cri.ts';
import type { NodeContext } from '../act/context.ts';
import { label } from '../labels.ts';
import type { PodState } from '../pod-state.ts';

export interface StatsSummary {
  node: { nodeName: string; startTime: string; cpu: CpuStats; memory: object; fs: object; runtime: object };
  pods: PodStats[];
}

export interface PodStats {
  podRef: { name: string; namespace: string; uid: string };
  startTime?: string;
  containers: ContainerUsage[];
  cpu: CpuStats;
  memory: MemoryStats;
  network?: object;
  process_stats?: { process_count: number };
  'ephemeral-storage'?: { time: string; usedBytes: number };
}

interface CpuStats {
  time: string;
  /** Absent at the first question: a rate needs two. */
  usageNanoCores?: number;
  usageCoreNanoSeconds: number;
}

interface MemoryStats {
  time: string;
  availableBytes?: number;
  usageBytes: number;
  workingSetBytes: number;
  rssBytes: number;
  pageFaults: number;
  majorPageFaults: number;
}

interface ContainerUsage {
  name: string;
  startTime?: string;
  cpu: CpuStats;
  memory: MemoryStats;
  rootfs: { time: string; usedBytes: number; inodesUsed: number };
}

/** The node's part is of the whole host; Pods' parts are what their guests use. */
export async function statsSummary(
  context: Pick<NodeContext, 'runtime' | 'clock' | 'nodeName' | 'startedAtMs' | 'hostMeter'>,
  states: PodState[],
): Promise<StatsSummary> {
  const [{ stats = [] }, { imageFilesystems = [] }, host] = await Promise.all([
    context.runtime.listPodSandboxStats({}),
    context.runtime.imageFsInfo({}),
    context.hostMeter.read(),
  ]);
  const time = toTime(context.clock.now());
  const [images] = imageFilesystems;
  return {
    node: {
      nodeName: context.nodeName,
      startTime: toTime(context.startedAtMs),
      cpu: { time, usageNanoCores: host.nanoCores, usageCoreNanoSeconds: host.cpuNanos },
      memory: { time, workingSetBytes: host.memoryBytes, availableBytes: host.availableBytes },
      fs: { time, ...host.disk },
      runtime: { imageFs: { time, usedBytes: number(images?.usedBytes), inodesUsed: number(images?.inodesUsed) } },
    },
    pods: stats.map((one) => podStats(one, states, time)),
  };
}

function podStats(stats: cri.PodSandboxStats, states: PodState[], time: string): PodStats {
  const labels = stats.attributes?.labels ?? {};
  const uid = labels[label.podUid] ?? stats.attributes?.metadata?.uid ?? '';
  const state = states.find((one) => one.uid === uid);
  const containers = (stats.linux?.containers ?? []).map((one) => containerUsage(one, time));
  return {
    podRef: { name: labels[label.podName] ?? '', namespace: labels[label.podNamespace] ?? '', uid },
    ...(state?.pod.status?.startTime ? { startTime: state.pod.status.startTime } : {}),
    containers,
    cpu: cpuStats(stats.linux?.cpu, time),
    memory: memoryStats(stats.linux?.memory, time),
    ...(stats.linux?.network ? { network: networkStats(stats.linux.network, time) } : {}),
    ...(stats.linux?.process ? { process_stats: { process_count: number(stats.linux.process.processCount) } } : {}),
    'ephemeral-storage': { time, usedBytes: containers.reduce((total, one) => total + one.rootfs.usedBytes, 0) },
  };
}

function containerUsage(stats: cri.ContainerStats, time: string): ContainerUsage {
  return {
    name: stats.attributes?.metadata?.name ?? '',
    cpu: cpuStats(stats.cpu, time),
    memory: memoryStats(stats.memory, time),
    rootfs: {
      time,
      usedBytes: number(stats.writableLayer?.usedBytes),
      inodesUsed: number(stats.writableLayer?.inodesUsed),
    },
  };
}

const cpuStats = (cpu: cri.CpuUsage | undefined, time: string): CpuStats => ({
  time: timeOf(cpu?.timestamp, time),
  ...(cpu?.usageNanoCores?.value !== undefined ? { usageNanoCores: number(cpu.usageNanoCores) } : {}),
  usageCoreNanoSeconds: number(cpu?.usageCoreNanoSeconds),
});

const memoryStats = (memory: cri.MemoryUsage | undefined, time: string): MemoryStats => ({
  time: timeOf(memory?.timestamp, time),
  ...(memory?.availableBytes?.value !== undefined ? { availableBytes: number(memory.availableBytes) } : {}),
  usageBytes: number(memory?.usageBytes),
  workingSetBytes: number(memory?.workingSetBytes),
  rssBytes: number(memory?.rssBytes),
  pageFaults: number(memory?.pageFaults),
  majorPageFaults: number(memory?.majorPageFaults),
});

function networkStats(network: cri.NetworkUsage, time: string): object {
  const of = (one: cri.NetworkInterfaceUsage) => ({
    name: one.name ?? '',
    rxBytes: number(one.rxBytes),
    rxErrors: number(one.rxErrors),
    txBytes: number(one.txBytes),
    txErrors: number(one.txErrors),
  });
  const main = network.defaultInterface ? of(network.defaultInterface) : {};
  const others = (network.interfaces ?? []).map(of);
  return {
    time: timeOf(network.timestamp, time),
    ...main,
    interfaces: network.defaultInterface ? [main, ...others] : others,
  };
}

const number = (value: { value?: bigint | undefined } | undefined): number => Number(value?.value ?? 0n);

const timeOf = (nanos: bigint | undefined, fallback: string): string =>
  nanos ? toTime(Number(nanos / 1_000_000n)) : fallback;
