/** A process that outlives this one, named by pid and start time so that a reused pid is never mistaken for it. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';
import type { Clock } from '../base/clock.ts';
import { readTextIfExists } from '../base/files.ts';
import { startTimeOf } from '../base/process-start.ts';

export interface ProcessId {
  pid: number;
  /** Clock ticks since boot (proc(5), stat field 22). */
  startTime: number;
}

/** What the launcher names in a machine's directory: the VMM, its holder, the servers of its shares. */
export type ProcessFile = 'pid' | 'holder' | `share${number}`;

/** What the launcher wrote to that file; undefined when there is no such file or it says nothing. */
export async function readProcessFile(directory: string, name: ProcessFile): Promise<ProcessId | undefined> {
  const text = await readTextIfExists(join(directory, name)).catch(() => undefined);
  return text === undefined ? undefined : parseProcessId(text);
}

/** `PID STARTTIME`. */
export function parseProcessId(text: string): ProcessId | undefined {
  const match = /^(\d{1,10}) (\d{1,18})$/.exec(text.trim());
  return match ? { pid: Number(match[1]), startTime: Number(match[2]) } : undefined;
}

/** False for a zombie as well: nothing of it is left but its entry. */
export async function isAlive(id: ProcessId): Promise<boolean> {
  return Number(startTimeOf(id.pid)) === id.startTime;
}

/** User and system time, nanoseconds; undefined when the process is gone. */
export async function cpuNanosOf(id: ProcessId): Promise<bigint | undefined> {
  const fields = await statFields(id.pid);
  if (!fields || Number(fields[19]) !== id.startTime) return undefined;
  const ticksPerSecond = 100n;
  return ((BigInt(fields[11] ?? 0) + BigInt(fields[12] ?? 0)) * 1_000_000_000n) / ticksPerSecond;
}

/** Proportional set size, bytes; 0 when the process is gone. */
export async function pssBytesOf(id: ProcessId): Promise<number> {
  const rollup = await readFile(`/proc/${id.pid}/smaps_rollup`, 'utf8').catch(() => '');
  return Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0) * 1024;
}

/** SIGKILL, and waits until it is gone. Idempotent. Throws InternalError when the kernel does not let go of it in `timeoutMs`. */
export async function killAndWait(id: ProcessId, clock: Clock, timeoutMs = 10_000): Promise<void> {
  const deadline = clock.monotonicMs() + timeoutMs;
  for (let delayMs = 1; await isAlive(id); delayMs = Math.min(delayMs * 2, 50)) {
    if (clock.monotonicMs() > deadline)
      throw new SampanError('InternalError', `process ${id.pid} is still there ${timeoutMs} ms after SIGKILL`);
    try {
      process.kill(id.pid, 'SIGKILL');
    } catch {
      // It has just gone.
    }
    await clock.sleep(delayMs);
  }
}

/** The fields after the command name, which may itself hold spaces and parentheses; [0] is the state. */
async function statFields(pid: number): Promise<string[] | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
}
