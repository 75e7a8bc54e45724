/** Processes as the host's /proc shows them. Owns nothing. */
import { readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';

/** Field 22 of its stat, which tells it from a later process with its number; undefined when it is gone. */
export function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

/** The host's number of a child of `initPid` that goes by `innerPid` in the PID namespace of that one; undefined when there is none. */
export async function hostPidOf(initPid: number, innerPid: number): Promise<number | undefined> {
  const depth = (await pidsOf(initPid)).length - 1;
  for (const thread of await readdir(`/proc/${initPid}/task`).catch(() => [] as string[])) {
    const children = await readFile(`/proc/${initPid}/task/${thread}/children`, 'utf8').catch(() => '');
    for (const child of children.split(' ').filter(Boolean).map(Number))
      if ((await pidsOf(child))[depth] === innerPid) return child;
  }
  return undefined;
}

/** Its numbers, from the host's PID namespace inwards. */
async function pidsOf(pid: number): Promise<number[]> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return (/^NSpid:\s+(.*)$/m.exec(status)?.[1] ?? '').split(/\s+/).filter(Boolean).map(Number);
}
