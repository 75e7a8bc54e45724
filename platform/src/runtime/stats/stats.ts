/**
 * ContainerStats, PodSandboxStats and their lists, from one question to each guest.
 *
 * A sandbox's memory: workingSet is what its guest uses, available what the guest has left, usage what the whole VM costs the host (the VMM's
 * proportional set size). CPU is the guest's; the VMM's own is in PodSandboxStatus' verbose info.
 */
import { basename } from 'node:path';
import { messageOf } from '@sampan/api/errors.ts';
import type { ContainerUsage, GuestStats } from '../agent/agent.ts';
import { runtimeAnnotation } from '../annotations.ts';
import type { Container } from '../containers/container.ts';
import type { Context } from '../context.ts';
import type * as cri from '../generated/cri.ts';
import { hasLabels } from '../has-labels.ts';
import type { Sandbox } from '../sandbox/vm/sandbox.ts';
import { askedWithin } from '../sandbox/vm/silent-agent.ts';
import type { CpuRates } from './cpu-rates.ts';

export async function containerStats(
  context: Context,
  rates: CpuRates,
  request: cri.ContainerStatsRequest,
): Promise<cri.ContainerStatsResponse> {
  const container = context.container(request.containerId);
  const sandbox = context.sandboxOf(container);
  const guest = await guestStats(context, sandbox);
  const usage = guest?.containers.find(({ id }) => id === container.id);
  return { stats: usage ? statsOf(context, rates, container, usage) : attributesOnly(container) };
}

export async function listContainerStats(
  context: Context,
  rates: CpuRates,
  { filter }: cri.ListContainerStatsRequest,
): Promise<cri.ListContainerStatsResponse> {
  const wanted = [...context.containers.values()]
    .filter((container) => container.record.state === 'running')
    .filter((container) => !filter?.id || container.id.startsWith(filter.id))
    .filter((container) => !filter?.podSandboxId || container.record.sandboxId.startsWith(filter.podSandboxId))
    .filter((container) => hasLabels(container.record.config.labels, filter?.labelSelector));
  const sandboxes = [...new Set(wanted.map((container) => context.sandboxOf(container)))];
  const usages = new Map((await Promise.all(sandboxes.map((sandbox) => usagesOf(context, sandbox)))).flat());
  const stats = wanted.flatMap((container) => {
    const usage = usages.get(container.id);
    return usage ? [statsOf(context, rates, container, usage)] : [];
  });
  return { stats };
}

export async function podSandboxStats(
  context: Context,
  rates: CpuRates,
  request: cri.PodSandboxStatsRequest,
): Promise<cri.PodSandboxStatsResponse> {
  return { stats: await sandboxStatsOf(context, rates, context.sandbox(request.podSandboxId)) };
}

/** A guest that does not answer is left out, not waited for by the rest. */
export async function listPodSandboxStats(
  context: Context,
  rates: CpuRates,
  { filter }: cri.ListPodSandboxStatsRequest,
): Promise<cri.ListPodSandboxStatsResponse> {
  const wanted = [...context.sandboxes.values()]
    .filter((sandbox) => sandbox.record.state === 'ready')
    .filter((sandbox) => !filter?.id || sandbox.id.startsWith(filter.id))
    .filter((sandbox) => hasLabels(sandbox.record.config.labels, filter?.labelSelector));
  const all = await Promise.all(
    wanted.map((sandbox) =>
      sandboxStatsOf(context, rates, sandbox).catch((error) => unanswered(context, sandbox, error)),
    ),
  );
  return { stats: all.filter((stats) => stats !== undefined) };
}

async function usagesOf(context: Context, sandbox: Sandbox): Promise<[string, ContainerUsage][]> {
  const guest = await guestStats(context, sandbox).catch((error) => unanswered(context, sandbox, error));
  return (guest?.containers ?? []).map((usage) => [usage.id, usage]);
}

function unanswered(context: Context, sandbox: Sandbox, error: unknown): undefined {
  context.log.warn({ sandboxId: sandbox.id, error: messageOf(error) }, 'no statistics from a guest');
}

/** A guest that says nothing for so long is left out of a list, and fails a question about it alone. */
const statsMs = 10_000;

async function guestStats(context: Context, sandbox: Sandbox): Promise<GuestStats | undefined> {
  if (sandbox.record.state !== 'ready') return undefined;
  const asked = sandbox.link!.ready().then((agent) => agent.stats());
  return askedWithin(context, sandbox, statsMs, asked);
}

const value = (number: number | bigint): cri.UInt64Value => ({ value: BigInt(number) });

function attributesOnly(container: Container): cri.ContainerStats {
  const { config } = container.record;
  const { metadata, labels = {}, annotations = {} } = config;
  return { attributes: { id: container.id, metadata, labels, annotations } };
}

function statsOf(context: Context, rates: CpuRates, container: Container, usage: ContainerUsage): cri.ContainerStats {
  const timestamp = context.nowNanos();
  return {
    ...attributesOnly(container),
    cpu: cpuOf(rates, container.id, timestamp, usage.cpuNanos),
    memory: {
      timestamp,
      workingSetBytes: value(usage.memoryWorkingSetBytes),
      ...availableOf(container, usage),
      usageBytes: value(usage.memoryUsageBytes),
      rssBytes: value(usage.memoryRssBytes),
      pageFaults: value(usage.pageFaults),
      majorPageFaults: value(usage.majorPageFaults),
    },
    writableLayer: {
      timestamp,
      fsId: { mountpoint: context.paths.scratches() },
      usedBytes: value(usage.rootfsUsedBytes),
      inodesUsed: value(usage.rootfsInodes),
    },
  };
}

/** CRI: the limit less the working set; nothing where there is no limit. */
function availableOf({ record }: Container, usage: ContainerUsage): Pick<cri.MemoryUsage, 'availableBytes'> {
  const limit = Number(record.config.linux?.resources?.memoryLimitInBytes ?? 0n);
  return limit > 0 ? { availableBytes: value(Math.max(0, limit - usage.memoryWorkingSetBytes)) } : {};
}

function cpuOf(rates: CpuRates, id: string, timestamp: bigint, cpuNanos: bigint): cri.CpuUsage {
  const nanoCores = rates.sample(id, timestamp, cpuNanos);
  const usageNanoCores = nanoCores === undefined ? undefined : value(nanoCores);
  return { timestamp, usageCoreNanoSeconds: value(cpuNanos), usageNanoCores };
}

async function sandboxStatsOf(context: Context, rates: CpuRates, sandbox: Sandbox): Promise<cri.PodSandboxStats> {
  const { metadata, labels = {}, annotations = {} } = sandbox.record.config;
  const attributes = { id: sandbox.id, metadata, labels, annotations };
  const [guest, machine] = await Promise.all([
    guestStats(context, sandbox),
    sandbox.machine?.stats().catch(() => undefined),
  ]);
  if (!guest) return { attributes };
  const timestamp = context.nowNanos();
  const containers = guest.containers.flatMap((usage) => {
    const container = sandbox.containers.get(usage.id);
    return container?.record.state === 'running' ? [statsOf(context, rates, container, usage)] : [];
  });
  const used = guest.memoryTotalBytes - guest.memoryAvailableBytes;
  const linux: cri.LinuxPodSandboxStats = {
    cpu: cpuOf(rates, sandbox.id, timestamp, guest.cpuNanos),
    memory: {
      timestamp,
      workingSetBytes: value(Math.max(0, used)),
      availableBytes: value(guest.memoryAvailableBytes),
      usageBytes: value(machine?.pssBytes ?? 0),
    },
    network: { timestamp, defaultInterface: interfaceOf(guest), interfaces: [] },
    process: { timestamp, processCount: value(guest.containers.reduce((sum, { pids }) => sum + pids, 0)) },
    containers,
  };
  return { attributes: { ...attributes, annotations: { ...annotations, ...volumeUse(sandbox, guest) } }, linux };
}

/** CRI has no statistics of volumes: what emptyDirs hold is told as annotations of the answer. */
function volumeUse(sandbox: Sandbox, guest: GuestStats): Record<string, string> {
  const entries = sandbox.record.volumes.flatMap(({ id, kind, hostPath }) => {
    const use = guest.volumes.find((one) => one.id === id);
    const isEmptyDir = kind === 'tmpfs' || kind === 'disk';
    return use && isEmptyDir ? [[runtimeAnnotation.volumeUsed + basename(hostPath), String(use.usedBytes)]] : [];
  });
  return Object.fromEntries(entries);
}

function interfaceOf({ network }: GuestStats): cri.NetworkInterfaceUsage {
  const { rxBytes, txBytes, rxErrors, txErrors } = network;
  return {
    name: 'eth0',
    rxBytes: value(rxBytes),
    txBytes: value(txBytes),
    rxErrors: value(rxErrors),
    txErrors: value(txErrors),
  };
}
