/** What the CLI knows of an instance without asking it: where its home is, and what the server last said of itself there. */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { Failure } from './failure.ts';

export interface CliInstance {
  home: string;
  cache: string;
  listen: string;
  /** The checkout (or installation) this command runs from. */
  root: string;
}

export const usualHome = '/var/lib/sampan';

export function currentInstance(env: NodeJS.ProcessEnv = process.env): CliInstance {
  return {
    home: resolve(env.SAMPAN_HOME || usualHome),
    cache: checkedCache(resolve(env.SAMPAN_CACHE || '/var/cache/sampan')),
    listen: checkedListen(env.SAMPAN_LISTEN || '127.0.0.1:6443'),
    root: env.SAMPAN_ROOT || resolve(import.meta.dirname, '../..'),
  };
}

/** The guest is built there, with compilers and `make`, which split paths at blanks. */
function checkedCache(path: string): string {
  if (!/\s/.test(path)) return path;
  throw new Failure(`SAMPAN_CACHE is "${path}"`, {
    why: 'what is built there is built by tools that take no path with blanks',
    mend: 'name a directory without, or leave it unset for /var/cache/sampan',
  });
}

/** As the server will read it (`platform/src/base/config.ts`). */
function checkedListen(value: string): string {
  const port = /^(?:\[[^\]]+\]|[^:]*):(\d{1,5})$/.exec(value)?.[1];
  if (port !== undefined && Number(port) <= 65535) return value;
  throw new Failure(`SAMPAN_LISTEN is "${value}"`, {
    why: 'it is an address and a port of this host, with a colon between',
    mend: 'SAMPAN_LISTEN=127.0.0.1:6443, or leave it unset for that',
  });
}

export const kubeconfigPath = (instance: CliInstance): string => join(instance.home, 'admin.kubeconfig');
export const serverLogPath = (instance: CliInstance): string => join(instance.home, 'logs', 'server.log');

/** What the server writes to <home>/server.json once it serves. */
const serverFile = z.object({
  pid: z.number().int().positive(),
  /** Field 22 of /proc/<pid>/stat: tells this process from a later one with its number. */
  startTime: z.string(),
  version: z.string(),
  run: z.string(),
  tag: z.string(),
  url: z.string(),
  nodeName: z.string(),
  /** Absent in what older servers wrote. */
  network: z.enum(['bridge', 'cni']).default('bridge'),
});
export type ServerInfo = z.infer<typeof serverFile>;

/** The running server of this home, or undefined when none runs (a stale file counts as none). Throws where this user may not know. */
export async function runningServer(instance: CliInstance): Promise<ServerInfo | undefined> {
  try {
    const info = serverFile.parse(JSON.parse(await readFile(join(instance.home, 'server.json'), 'utf8')));
    return (await processStartTime(info.pid)) === info.startTime ? info : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') throw notYours(error as Error);
    return undefined;
  }
}

/** Of a file in a home that belongs to root. */
export function notYours(error: Error): Failure {
  return new Failure('this instance is not yours to see', {
    why: error.message,
    mend: "say it as root (sudo ./sampan ...); kubectl works with a copy of root's kubeconfig",
  });
}

export async function processStartTime(pid: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
