/** cgroup limits of a container as the OCI runtime-spec writes them (config-linux.md, "Control groups"). Pure. */
import type * as cri from '../generated/cri.ts';

export interface OciResources {
  cpu?: { shares?: number; quota?: number; period?: number; cpus?: string; mems?: string };
  memory?: { limit?: number; swap?: number };
  pids?: { limit: number };
  unified?: Record<string, string>;
  devices?: object[];
}

/** A thread costs the kernel some 20 KiB: eight for each MiB of the Pod keep a fork bomb from starving the guest's agent. */
export function pidsLimit(podMemoryBytes: number): number {
  return Math.min(32_768, Math.max(1024, Math.floor(podMemoryBytes / (1024 * 1024)) * 8));
}

/** Only what was asked: zero means unset in CRI. */
export function ociResources(resources: cri.LinuxContainerResources | undefined): OciResources {
  const result: OciResources = {};
  const cpu = numbers({ shares: resources?.cpuShares, quota: resources?.cpuQuota, period: resources?.cpuPeriod });
  const { cpusetCpus: cpus, cpusetMems: mems } = resources ?? {};
  if (cpu || cpus || mems) result.cpu = { ...cpu, ...(cpus ? { cpus } : {}), ...(mems ? { mems } : {}) };
  const memory = numbers({ limit: resources?.memoryLimitInBytes, swap: resources?.memorySwapLimitInBytes });
  if (memory) result.memory = memory;
  if (resources?.unified && Object.keys(resources.unified).length > 0) result.unified = { ...resources.unified };
  return result;
}

function numbers(values: Record<string, bigint | undefined>): Record<string, number> | undefined {
  const given = Object.entries(values).flatMap(([key, value]) => (value ? [[key, Number(value)] as const] : []));
  return given.length > 0 ? Object.fromEntries(given) : undefined;
}
