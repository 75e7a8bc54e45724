/** A container's mounts, of its config.json, as crun gets them inside the machine, and what the host has to do for them. Pure; a part of guest-config.ts. */
import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { guestPaths } from '../agent/agent.ts';
import { type OciConfig, type OciMount, refused } from './oci-config.ts';

/** A bind mount that the share carries: `source` on the host appears in the share as `name`. */
export interface CarriedMount {
  name: string;
  source: string;
  access: Access;
  destination: string;
  /** The kernel that it is carried to is the one it means something to: it may be a socket or a device. */
  anyKind?: true;
}

/** A bind mount of `shared` propagation, which the machine gets as `name` in its share: a peer of the host's mount. */
export type SharedMount = Omit<CarriedMount, 'destination'>;

/** Of the mount on the host, which a guest cannot change: 'r' is read-only but for what is mounted below it, 'rr' with that. */
export type Access = 'rw' | 'r' | 'rr';

export interface MountOptions {
  /** Where the container's part of the share is seen in the guest. */
  sharePath: string;
  /** Its /dev/shm, where that is not the machine's usual one. */
  shmPath?: string | undefined;
  /** The sandbox's own /etc/hosts, hostname, resolv.conf and /dev/shm, where no mount of the bundle's is. */
  podFiles?: boolean;
  /** The "guest" is the host's own kernel, whose mounts are what they say. */
  onHost?: boolean;
  /** What the host has mounted there tells others what is mounted below it (mount_namespaces(7)). Absent: it does. */
  isSharedByHost?: (source: string) => boolean;
}

export interface GuestMounts {
  mounts: OciMount[];
  carried: CarriedMount[];
  shared: SharedMount[];
}

/** Throws Unsupported naming the mount. */
export function guestMounts(config: OciConfig, options: MountOptions): GuestMounts {
  const carried: CarriedMount[] = [];
  const shared: SharedMount[] = [];
  const translate = (mount: OciMount) =>
    options.onHost && isSharedWithHost(mount, options)
      ? translateShared(mount, shared, options)
      : translateMount(mount, carried, options);
  const mounts = [...withoutHostCgroups(config.mounts ?? [], options).map(translate), ...podFiles(config, options)];
  return { mounts, carried, shared };
}

/** What engines add for a systemd in a container on hosts of version 1. It has a hierarchy of version 2 to itself, if it may write to it. */
function withoutHostCgroups(mounts: OciMount[], { onHost }: MountOptions): OciMount[] {
  const isPart = ({ destination, source = '' }: OciMount) =>
    destination.startsWith('/sys/fs/cgroup/') && source.startsWith('/sys/fs/cgroup/');
  if (onHost || !mounts.some(isPart)) return mounts;
  const open = (mount: OciMount) =>
    mount.destination === '/sys/fs/cgroup'
      ? { ...mount, options: (mount.options ?? []).filter((option) => option !== 'ro') }
      : mount;
  return mounts.filter((mount) => !isPart(mount)).map(open);
}

const kernelMounts = new Set(['proc', 'sysfs', 'tmpfs', 'devpts', 'mqueue', 'cgroup', 'cgroup2', 'ramfs']);

function translateMount(mount: OciMount, carried: CarriedMount[], options: MountOptions): OciMount {
  const flags = mount.options ?? [];
  const isBind = isBindMount(mount);
  const { destination } = mount;
  if (!isBind && destination === '/dev/shm' && options.podFiles)
    return { destination, type: 'bind', source: guestPaths.shm, options: ['rbind', 'nosuid', 'nodev', 'noexec'] };
  if (!isBind) {
    if (!kernelMounts.has(mount.type ?? ''))
      throw refused(`mounts ${destination}`, `a mount of type ${mount.type} is not carried into a machine`);
    return mount;
  }
  const source = mount.source ?? '';
  if (isSharedWithHost(mount, options))
    throw refused(
      `mounts ${destination}`,
      'mounts made inside a machine cannot appear on the host (shared propagation)',
    );
  if (destination === '/dev/shm') return { ...mount, type: 'bind', source: options.shmPath ?? guestPaths.shm };
  if (destination === '/sys/fs/cgroup')
    return {
      destination,
      type: 'cgroup',
      source: 'cgroup',
      options: ['nosuid', 'noexec', 'nodev', 'relatime', ...access(flags)],
    };
  if (!options.onHost && /^\/(proc|sys|dev)(\/|$)/.test(source))
    throw refused(`mounts ${destination}`, `${source} of the host is not carried into a machine`);
  if (!source.startsWith('/')) throw refused(`mounts ${destination}`, `its source "${source}" is not absolute`);
  const name = `mount${carried.length}`;
  const hosts = accessOf(flags);
  carried.push({ name, source, access: hosts, destination, ...(options.onHost ? { anyKind: true } : {}) });
  // The guest's own mount follows what appears below it on the host, and never the other way.
  const kept = flags.filter((flag) => !/^r?(slave|private|unbindable)$/.test(flag));
  const guests = [
    ...(options.onHost ? kept : [...kept.filter((flag) => !/^r?ro$/.test(flag)), ...guestAccess[hosts]]),
    // Shared where the host does not share: with whoever is in the container.
    ...(isShared(mount) ? [] : ['rslave']),
  ];
  return { ...mount, type: 'bind', source: `${options.sharePath}/${name}`, options: guests };
}

const isBindMount = ({ type, options }: OciMount) =>
  type === 'bind' || (options ?? []).some((option) => option === 'bind' || option === 'rbind');

const isSharedWithHost = (mount: OciMount, { isSharedByHost = () => true }: MountOptions) =>
  isShared(mount) && isSharedByHost(mount.source ?? '');

/** The last word on propagation counts. */
export const isShared = (mount: OciMount) =>
  isBindMount(mount) &&
  /shared$/.test((mount.options ?? []).findLast((flag) => /^r?(slave|private|shared|unbindable)$/.test(flag)) ?? '');

/** The same directory is one mount for all containers of a machine, so that those that come and go leave nothing behind. */
function translateShared(mount: OciMount, shared: SharedMount[], { sharePath }: MountOptions): OciMount {
  const { source = '' } = mount;
  if (!source.startsWith('/')) throw refused(`mounts ${mount.destination}`, `its source "${source}" is not absolute`);
  const access = accessOf(mount.options ?? []);
  const name = `shared-${createHash('sha256').update(`${access} ${source}`).digest('hex').slice(0, 24)}`;
  if (!shared.some((one) => one.name === name)) shared.push({ name, source, access });
  return { ...mount, type: 'bind', source: join(dirname(sharePath), name) };
}

/** mount(8)'s options; the last word counts. */
function accessOf(flags: string[]): Access {
  const last = flags.findLast((flag) => /^r?(ro|rw)$/.test(flag));
  return last === 'rro' ? 'rr' : last === 'ro' ? 'r' : 'rw';
}

/** A guest sees one mount in all of a directory: one that was read-only would be so for what is mounted below it on the host. The host keeps it. */
const guestAccess = { rw: [], r: [], rr: ['ro'] };

function podFiles(config: OciConfig, options: MountOptions): OciMount[] {
  if (!options.podFiles) return [];
  const taken = new Set((config.mounts ?? []).map(({ destination }) => destination));
  const { hosts, hostname, resolvConf } = guestPaths;
  return Object.entries({ '/etc/hosts': hosts, '/etc/hostname': hostname, '/etc/resolv.conf': resolvConf })
    .filter(([destination]) => !taken.has(destination))
    .map(([destination, source]) => {
      const options = ['rbind', 'rprivate', config.root?.readonly ? 'ro' : 'rw'];
      return { destination, type: 'bind', source, options };
    });
}

const access = (flags: string[]): string[] => (flags.includes('ro') ? ['ro'] : []);
