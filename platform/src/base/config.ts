/** Where an instance of Sampan keeps its things, from SAMPAN_HOME and SAMPAN_LISTEN. Two instances share only the cache. */
import { createHash } from 'node:crypto';
import { statfsSync } from 'node:fs';
import { resolve } from 'node:path';

export interface Instance {
  /** Durable state: database, images, logs, certificates, admin kubeconfig. Default /var/lib/sampan. */
  home: string;
  /** Volatile state on tmpfs: machines, templates, sockets, leases. /run/sampan/<tag>, or /dev/shm/sampan/<tag> where /run is on disk. */
  run: string;
  /** Built things shared by all instances, by content: guest kernel and miniOS. Default /var/cache/sampan. */
  cache: string;
  /** Six hex digits that tell this instance's devices and processes from another's. */
  tag: string;
  listen: { host: string; port: number };
}

export function instanceFromEnvironment(env: NodeJS.ProcessEnv = process.env): Instance {
  const home = resolve(env.SAMPAN_HOME || '/var/lib/sampan');
  const tag = createHash('sha256').update(home).digest('hex').slice(0, 6);
  return {
    home,
    run: env.SAMPAN_RUN || `${tmpfsRoot()}/sampan/${tag}`,
    cache: env.SAMPAN_CACHE || '/var/cache/sampan',
    tag,
    listen: parseListen(env.SAMPAN_LISTEN || '127.0.0.1:6443'),
  };
}

const tmpfsMagic = 0x01021994;

/** Guest memory lives in files of the run directory, so it has to be memory. */
function tmpfsRoot(): string {
  return statfsSync('/run').type === tmpfsMagic ? '/run' : '/dev/shm';
}

/** `host:port`, `[v6]:port` or `:port`. Throws RangeError naming the value. */
function parseListen(value: string): { host: string; port: number } {
  const match = /^(\[[^\]]+\]|[^:]*):(\d{1,5})$/.exec(value);
  const port = Number(match?.[2]);
  if (!match || port > 65535)
    throw new RangeError(`SAMPAN_LISTEN is "${value}"; wanted host:port, such as 127.0.0.1:6443`);
  return { host: (match[1] ?? '').replace(/^\[|\]$/g, '') || '0.0.0.0', port };
}
