/** What this machine offers to Pods, and its name. */
import { statfs } from 'node:fs/promises';
import { availableParallelism, hostname, totalmem } from 'node:os';

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

export async function nodeCapacity(home: string): Promise<Capacity> {
  const disk = await statfs(home);
  return {
    cpuMillicores: availableParallelism() * 1000,
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
