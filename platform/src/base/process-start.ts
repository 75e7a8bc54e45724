/** When a process began: what tells it from a later one with its number. */
import { readFileSync } from 'node:fs';

/**
 * Clock ticks since boot (proc(5), stat field 22); undefined when the process is gone, or a zombie: nothing of it is left but its entry. Read on the thread itself:
 * procfs keeps nobody waiting.
 */
export function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command name before may itself hold spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
