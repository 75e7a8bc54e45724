/** What this machine offers to Pods, and its name. */
import { readFile, statfs } from 'node:fs/promises';
import { availableParallelism, hostname, totalmem } from 'node:os';
import { SampanError } from '@sampan/api/errors.ts';

import type { NodeInfo } from '../node/node-options.ts';
import type { VmmCapabilities } from '../vmm/vmm.ts';
import { version } from './version.ts';

const mib = 1024 * 1024;

export interface Capacity {
  cpuMillicores: number;
  memoryBytes: number;
  ephemeralStorageBytes: number;
  pods: number;
}

/** Kept for the host itself and the server. */
const reservedMemoryBytes = 512 * mib;
/** Enough for hundreds of small Jobs; kubelet's 110 is for nodes that share a kernel. */
const maxPods = 500;

/**
 * CPUs the node offers: as many as there are, or what SAMPAN_OFFERED_CPUS says, for Pods that mostly wait share them well. Throws Invalid for
 * what is no count.
 */
export function offeredCpus(text = process.env.SAMPAN_OFFERED_CPUS): number {
  if (!text) return availableParallelism();
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new SampanError('Invalid', `SAMPAN_OFFERED_CPUS=${text} is no count; wanted 1 to 9999`);
}

export async function nodeCapacity(home: string): Promise<Capacity> {
  const disk = await statfs(home);
  return {
    cpuMillicores: offeredCpus() * 1000,
    memoryBytes: Math.max(totalmem() - reservedMemoryBytes, 0),
    ephemeralStorageBytes: disk.blocks * disk.bsize,
    pods: maxPods,
  };
}

/** The host's name as a DNS subdomain. */
export function nodeNameOf(name: string = hostname()): string {
  return (
    name
      .toLowerCase()
      .replace(/[^a-z0-9.-]+/g, '-')
      .replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, '')
      .slice(0, 63) || 'node'
  );
}

/** What `kubectl describe node` says of the machine. */
export async function nodeInfo(vmm: VmmCapabilities): Promise<NodeInfo> {
  const text = async (path: string) => (await readFile(path, 'utf8').catch(() => '')).trim();
  return {
    kernelVersion: await text('/proc/sys/kernel/osrelease'),
    osImage: /^PRETTY_NAME="?([^"\n]*)/m.exec(await text('/etc/os-release'))?.[1] ?? 'Linux',
    kubeletVersion: `v1.33.0+sampan.${version}`,
    machineId: await text('/etc/machine-id'),
    bootId: await text('/proc/sys/kernel/random/boot_id'),
    acceleration: `${vmm.acceleration}: ${vmm.accelerationReason}`,
  };
}
