/**
 * Which process of the host listens at an address: for the words of who finds the port taken. Owns nothing. Sockets as /proc/net tells of them
 * (proc_net(5)): of this process's own network namespace.
 */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { basename } from 'node:path';

const listening = '0A';
const wildcard = /^0+$/;
/** An IPv4 address as IPv6 has it (RFC 4291, 2.5.5.2), in the words of this file. */
const mapped = '0000000000000000FFFF0000';
/** Of a host with very many processes. */
const mostProcesses = 20_000;

/** Name and number of the process that has `port` at `address`, or at every address, for UDP or TCP; undefined when none can be found. */
export async function portHolder(address: string, port: number): Promise<string | undefined> {
  const inodes = new Set<string>();
  for (const table of ['udp', 'tcp', 'udp6', 'tcp6']) {
    const text = await readFile(`/proc/net/${table}`, 'utf8').catch(() => '');
    for (const inode of socketsAt(text, { address, port, isTcp: table.startsWith('tcp') })) inodes.add(inode);
  }
  return inodes.size > 0 ? holderOf(inodes) : undefined;
}

/** Inodes of the sockets in a table of /proc/net that have the port at the address. Pure. */
export function socketsAt(table: string, wanted: { address: string; port: number; isTcp: boolean }): string[] {
  const octets = wanted.address.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
  const host = octets.reverse().join('').toUpperCase();
  const port = wanted.port.toString(16).toUpperCase().padStart(4, '0');
  return table.split('\n').flatMap((line) => {
    const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
    const [at = '', atPort] = local.split(':');
    if (atPort !== port || !/^[1-9]\d*$/.test(inode) || (wanted.isTcp && state !== listening)) return [];
    return at === host || at === mapped + host || wildcard.test(at) ? [inode] : [];
  });
}

async function holderOf(inodes: Set<string>): Promise<string | undefined> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).slice(0, mostProcesses);
  for (const pid of pids) {
    const names = await readdir(`/proc/${pid}/fd`).catch((): string[] => []);
    for (const name of names) {
      const target = await readlink(`/proc/${pid}/fd/${name}`).catch(() => '');
      if (!inodes.has(/^socket:\[(\d+)\]$/.exec(target)?.[1] ?? '')) continue;
      const [program = ''] = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
      // A process chooses its own name: only what can stand in a log.
      const word = basename(program)
        .replace(/[^\x21-\x7e]/g, '?')
        .slice(0, 64);
      return `${word || 'a process'} (process ${pid})`;
    }
  }
  return undefined;
}
