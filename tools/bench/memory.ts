/** Where a VMM process's memory goes: proportional set size by what the mapping is for. And its CPU time. */
import { readFileSync } from 'node:fs';

export interface VmmMemory {
  /** Guest memory this machine has to itself (written since the clone), MiB. */
  guestPrivate: number;
  /** Its share of guest memory that all clones map, MiB. */
  guestShared: number;
  /** TCG's code cache and tables, MiB; 0 with KVM. */
  tcg: number;
  /** Everything else: heap, libraries, stacks, MiB. */
  own: number;
  /** The heap's part of `own`, MiB. */
  heap: number;
  total: number;
}

interface Mapping {
  path: string;
  permissions: string;
  sizeKib: number;
  pssKib: number;
  privateKib: number;
}

const mib = 1024;

/**
 * Guest memory is the mapping of the template's memory file (or memfd). TCG's code cache is the one anonymous mapping that is executable (or
 * the memfd behind a split one); its tables are the large anonymous mappings QEMU makes beside it, taken as those of at least 1 MiB.
 */
export function vmmMemory(pid: number, guestMemoryPath: RegExp): VmmMemory {
  const sums = { guestPrivate: 0, guestShared: 0, tcg: 0, own: 0, heap: 0 };
  for (const mapping of mappings(readFileSync(`/proc/${pid}/smaps`, 'utf8'))) {
    if (guestMemoryPath.test(mapping.path)) {
      sums.guestPrivate += mapping.privateKib;
      sums.guestShared += mapping.pssKib - mapping.privateKib;
    } else if (isTcg(mapping)) sums.tcg += mapping.pssKib;
    else sums.own += mapping.pssKib;
    if (mapping.path === '[heap]') sums.heap += mapping.pssKib;
  }
  const { guestPrivate, guestShared, tcg, own, heap } = sums;
  return {
    guestPrivate: guestPrivate / mib,
    guestShared: guestShared / mib,
    tcg: tcg / mib,
    own: own / mib,
    heap: heap / mib,
    total: (guestPrivate + guestShared + tcg + own) / mib,
  };
}

/**
 * TCG also keeps a tree node and list entries on the heap for each block it translated, which no mapping tells apart. What the heap of a VMM grew by since
 * its guest was resumed is taken to be that: `fresh` is a VMM of the same shape that has run next to nothing.
 */
export function withoutTranslations(memory: VmmMemory, fresh: VmmMemory): VmmMemory {
  const grown = memory.tcg > 0 ? Math.max(0, memory.heap - fresh.heap) : 0;
  return { ...memory, own: memory.own - grown, tcg: memory.tcg + grown, heap: memory.heap - grown };
}

function isTcg({ path, permissions, sizeKib }: Mapping): boolean {
  if (path.includes('tcg-jit')) return true;
  if (path !== '') return false;
  return permissions.includes('x') || sizeKib >= mib;
}

export function mappings(smaps: string): Mapping[] {
  const found: Mapping[] = [];
  for (const line of smaps.split('\n')) {
    const head = /^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+\s*(.*)$/.exec(line);
    if (head) {
      const sizeKib = (Number.parseInt(head[2]!, 16) - Number.parseInt(head[1]!, 16)) / 1024;
      found.push({ path: head[4]!, permissions: head[3]!, sizeKib, pssKib: 0, privateKib: 0 });
      continue;
    }
    const field = /^(Pss|Private_Clean|Private_Dirty):\s+(\d+)/.exec(line);
    const last = found.at(-1);
    if (!field || !last) continue;
    if (field[1] === 'Pss') last.pssKib += Number(field[2]);
    else last.privateKib += Number(field[2]);
  }
  return found;
}

/** Proportional set size of a process, MiB. */
export function pssMib(pid: number): number {
  return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0) / 1024;
}

/** CPU time a process has taken, ms. */
export function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').pop()!.split(' ');
  // utime and stime, in ticks of 10 ms (proc(5)).
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
