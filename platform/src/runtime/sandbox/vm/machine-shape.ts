/**
 * How big a Pod's machine is: a pure function of its PodSandboxConfig.
 *
 * The machine gets whole CPUs and memory in steps of 32 MiB, so that many Pods share a template; the exact limits are held by cgroups
 * inside the guest. Memory = the containers' limit + what the guest itself needs (the Pod's overhead where a RuntimeClass names one).
 */
import { SampanError } from '@sampan/api/errors.ts';
import type { MachineShape } from '../../../vmm/vmm.ts';
import type * as cri from '../../generated/cri.ts';

/** Kernel, agent and page tables of a small guest; beyond the containers' own limit. */
export const guestOverheadMib = 64;
const stepMib = 32;
const mib = 1024 * 1024;

export interface PodSize {
  shape: MachineShape;
  /** CPU of all containers together. */
  cpuMillicores: number;
  /** Limit of all containers together. */
  memoryLimitBytes: number;
}

export interface SizeDefaults {
  cpuMillicores: number;
  memoryMib: number;
}

/** Throws Invalid for sizes that no machine has (below nothing, beyond 1024 CPUs or 16 TiB). */
export function machineShape(linux: cri.LinuxPodSandboxConfig | undefined, defaults: SizeDefaults): PodSize {
  const cpuMillicores =
    (millicoresOf(linux?.resources) ?? defaults.cpuMillicores) + (millicoresOf(linux?.overhead) ?? 0);
  const memoryLimitBytes = memoryOf(linux?.resources) ?? defaults.memoryMib * mib;
  const overheadBytes = memoryOf(linux?.overhead) ?? guestOverheadMib * mib;
  const vcpus = Math.max(1, Math.ceil(cpuMillicores / 1000));
  const memoryMib = Math.ceil((memoryLimitBytes + overheadBytes) / mib / stepMib) * stepMib;
  if (vcpus > 1024 || memoryMib > 16 * mib)
    throw new SampanError(
      'Invalid',
      `the Pod asks for ${vcpus} CPUs and ${memoryMib} MiB; a machine has at most 1024 CPUs and ${16 * mib} MiB`,
    );
  return { shape: { vcpus, memoryMib }, cpuMillicores, memoryLimitBytes };
}

/** Quota over period is a limit; without one, shares are the request (1024 a CPU; 2 is the kernel's least and means none). */
export function millicoresOf(resources: cri.LinuxContainerResources | undefined): number | undefined {
  const quota = Number(resources?.cpuQuota ?? 0n);
  const period = Number(resources?.cpuPeriod ?? 0n) || 100_000;
  if (quota > 0) return Math.ceil((quota * 1000) / period);
  const shares = Number(resources?.cpuShares ?? 0n);
  return shares > 2 ? Math.ceil((shares * 1000) / 1024) : undefined;
}

function memoryOf(resources: cri.LinuxContainerResources | undefined): number | undefined {
  const bytes = Number(resources?.memoryLimitInBytes ?? 0n);
  return bytes > 0 ? bytes : undefined;
}
