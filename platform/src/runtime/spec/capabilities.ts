/** Linux capabilities of a container: the default set, what a Pod adds and drops, all of them for a privileged one. Pure. */
import { SampanError } from '@sampan/api/errors.ts';
import type * as cri from '../generated/cri.ts';

/** What a container has that says nothing: the set that Docker gave and that images have come to expect. */
export const defaultCapabilities = [
  'AUDIT_WRITE', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'MKNOD', 'NET_BIND_SERVICE', 'NET_RAW',
  'SETFCAP', 'SETGID', 'SETPCAP', 'SETUID', 'SYS_CHROOT',
]; // biome-ignore format: a table

/** capabilities(7), as of Linux 5.9: what a guest kernel of 6.1 knows. */
const allCapabilities = [
  ...defaultCapabilities,
  'AUDIT_CONTROL', 'AUDIT_READ', 'BLOCK_SUSPEND', 'BPF', 'CHECKPOINT_RESTORE', 'DAC_READ_SEARCH', 'IPC_LOCK', 'IPC_OWNER',
  'LEASE', 'LINUX_IMMUTABLE', 'MAC_ADMIN', 'MAC_OVERRIDE', 'NET_ADMIN', 'NET_BROADCAST', 'PERFMON', 'SYSLOG', 'SYS_ADMIN',
  'SYS_BOOT', 'SYS_MODULE', 'SYS_NICE', 'SYS_PACCT', 'SYS_PTRACE', 'SYS_RAWIO', 'SYS_RESOURCE', 'SYS_TIME', 'SYS_TTY_CONFIG',
  'WAKE_ALARM',
].sort(); // biome-ignore format: a table

export interface CapabilitySets {
  bounding: string[];
  effective: string[];
  permitted: string[];
  ambient?: string[];
}

/** Names of the result carry `CAP_`. Drops come first, so that "drop ALL, add X" gives X alone. Throws Invalid naming an unknown capability. */
export function containerCapabilities(security: cri.LinuxContainerSecurityContext | undefined): CapabilitySets {
  const asked = security?.capabilities;
  const add = (asked?.addCapabilities ?? []).map(normalise);
  const drop = (asked?.dropCapabilities ?? []).map(normalise);
  const ambient = (asked?.addAmbientCapabilities ?? []).map(normalise);
  const held = new Set(security?.privileged ? allCapabilities : defaultCapabilities);
  if (!security?.privileged) {
    for (const name of drop) for (const each of name === 'ALL' ? [...held] : [name]) held.delete(each);
    for (const name of [...add, ...ambient])
      for (const each of name === 'ALL' ? allCapabilities : [name]) held.add(each);
    // "add ALL, drop X": what is dropped by name stays dropped.
    if (add.includes('ALL')) for (const name of drop) held.delete(name);
  }
  const names = [...held].sort().map((name) => `CAP_${name}`);
  const sets: CapabilitySets = { bounding: names, effective: names, permitted: names };
  if (ambient.length > 0) sets.ambient = ambient.map((name) => `CAP_${name}`);
  return sets;
}

function normalise(name: string): string {
  const short = name.toUpperCase().replace(/^CAP_/, '');
  if (short !== 'ALL' && !allCapabilities.includes(short))
    throw new SampanError('Invalid', `securityContext.capabilities: "${name}" is not a Linux capability`);
  return short;
}
