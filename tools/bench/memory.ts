/** Where a VMM process's memory goes: proportional set size by what the mapping is for. And its CPU time. */
import { readFileSync } from 'node:fs';

export interface VmmMemory {
  /** Guest memory this machine has to itself (written since the clone), MiB. */
  guestPrivate: number;
  /** Its share of guest memory that all clones map, MiB. */
  guestShared: number;
  /** TCG's code cache, MiB; its tables too once `withoutTranslations` has told them from the rest. 0 with KVM. */
  tcg: number;
  /** Everything else: heap and other anonymous memory, libraries, stacks, MiB. */
  own: number;
  /** Of `own`, what no file stands behind: heap and anonymous mappings, MiB. */
  anonymous: number;
  total: number;
}

interface Mapping {
  path: string;
  permissions: string;
  pssKib: number;
  privateKib: number;
}

const mib = 1024;

/**
 * Guest memory is the mapping of the template's memory file (or memfd). TCG's code cache is the one anonymous mapping that is executable (or
 * the memfd behind a split one).
 */
export function vmmMemory(pid: number, guestMemoryPath: RegExp): VmmMemory {
  const sums = { guestPrivate: 0, guestShared: 0, tcg: 0, own: 0, anonymous: 0 };
  for (const mapping of mappings(readFileSync(`/proc/${pid}/smaps`, 'utf8'))) {
    if (guestMemoryPath.test(mapping.path)) {
      sums.guestPrivate += mapping.privateKib;
      sums.guestShared += mapping.pssKib - mapping.privateKib;
    } else if (isTcg(mapping)) sums.tcg += mapping.pssKib;
    else sums.own += mapping.pssKib;
    if (!isTcg(mapping) && (mapping.path === '' || mapping.path === '[heap]')) sums.anonymous += mapping.pssKib;
  }
  const { guestPrivate, guestShared, tcg, own, anonymous } = sums;
  return {
    guestPrivate: guestPrivate / mib,
    guestShared: guestShared / mib,
    tcg: tcg / mib,
    own: own / mib,
    anonymous: anonymous / mib,
    total: (guestPrivate + guestShared + tcg + own) / mib,
  };
}

/** With which TCG's table of blocks begins, MiB: 8,192 buckets of 64 bytes, made before the guest runs (QEMU, tcg: CODE_GEN_HTABLE_SIZE; util/qht.c). */
const firstTable = 0.5;

/**
 * TCG also keeps tables and, for each block it translated, a tree node, in memory that no mapping tells apart: neighbouring mappings become one, so neither
 * size nor number says whose they are. What a VMM's anonymous memory grew by since its guest was resumed is taken to be that, and the table it began
 * with: `fresh` is a VMM of the same shape that has run next to nothing.
 */
export function withoutTranslations(memory: VmmMemory, fresh: VmmMemory): VmmMemory {
  if (memory.tcg === 0) return memory;
  const tables = Math.max(0, memory.anonymous - fresh.anonymous) + firstTable;
  return { ...memory, own: memory.own - tables, tcg: memory.tcg + tables, anonymous: memory.anonymous - tables };
}

function isTcg({ path, permissions }: Mapping): boolean {
  return path.includes('tcg-jit') || (path === '' && permissions.includes('x'));
}

export function mappings(smaps: string): Mapping[] {
  const found: Mapping[] = [];
  for (const line of smaps.split('\n')) {
    const head = /^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+\s*(.*)$/.exec(line);
    if (head) {
      found.push({ path: head[4]!, permissions: head[3]!, pssKib: 0, privateKib: 0 });
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

/** Proportional set size of a process, MiB; 0 once it is gone. */
export function pssMib(pid: number): number {
  let rollup = '';
  try {
    rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  } catch (error) {
    if (!/^(ENOENT|ESRCH)$/.test((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
  return Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0) / 1024;
}

/** CPU time a process has taken, ms. */
export function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').pop()!.split(' ');
  // utime and stime, in ticks of 10 ms (proc(5)).
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
