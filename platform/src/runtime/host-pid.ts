/** Processes of machines on the host, as the host's /proc numbers them. Owns nothing. */
import { readdir, readFile } from 'node:fs/promises';

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
