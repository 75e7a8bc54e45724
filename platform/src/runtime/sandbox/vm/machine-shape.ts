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
/** Agent, miniOS and the kernel's account of namespaces and mounts of a machine on the host. */
export const namespaceOverheadMib = 8;
/**
 * What the VMM itself takes beside the guest's memory: the part of a RuntimeClass's overhead that is not for the guest. Measured as the private
 * memory of idle Pods less their guests' (docs/SPECIFICATION.md).
 */
export const vmmOverheadMib = 64;
/** No machine is smaller, on the host neither. */
const smallestMib = 64;
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
export function machineShape(
  linux: cri.LinuxPodSandboxConfig | undefined,
  defaults: SizeDefaults,
  handler: 'vm' | 'namespace' = 'vm',
): PodSize {
  const cpuMillicores =
    (millicoresOf(linux?.resources) ?? defaults.cpuMillicores) + (millicoresOf(linux?.overhead) ?? 0);
  const memoryLimitBytes = memoryOf(linux?.resources) ?? defaults.memoryMib * mib;
  const overheadBytes = overheadOf(memoryOf(linux?.overhead), handler);
  const vcpus = Math.max(1, Math.ceil(cpuMillicores / 1000));
  const memoryMib = Math.max(smallestMib, Math.ceil((memoryLimitBytes + overheadBytes) / mib / stepMib) * stepMib);
  if (vcpus > 1024 || memoryMib > 16 * mib)
    throw new SampanError(
      'Invalid',
      `the Pod asks for ${vcpus} CPUs and ${memoryMib} MiB; a machine has at most 1024 CPUs and ${16 * mib} MiB`,
    );
  return { shape: { vcpus, memoryMib }, cpuMillicores, memoryLimitBytes };
}

/** A guest gets what the VMM leaves of the overhead, and never less than it needs. */
function overheadOf(given: number | undefined, handler: 'vm' | 'namespace'): number {
  if (handler === 'namespace') return given ?? namespaceOverheadMib * mib;
  return Math.max(guestOverheadMib * mib, (given ?? 0) - vmmOverheadMib * mib);
}

/** Quota over period is a limit; without one, shares are the request (1024 a CPU; 2 is the kernel's least and means none). */
function millicoresOf(resources: cri.LinuxContainerResources | undefined): number | undefined {
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
