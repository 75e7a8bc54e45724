/**
 * From a bundle's config.json, written for the host, to the config that crun gets inside the machine. A pure function.
 *
 *   kept      process, capabilities, seccomp, limits, masked and read-only paths, mounts of kernel file systems, tmpfs, startContainer hooks
 *   replaced  cgroupsPath, namespaces and their paths (the machine is the sandbox), /dev/shm, root
 *   carried   bind mounts of files and directories of the host, through the machine's share
 *   shared    those among them whose mounts are to appear on the host too: on the host's own kernel alone, and where the host shares what it has there
 *   refused   by name: whatever else would change what the container is (host namespaces, devices, labels, createContainer hooks, CPU numbers...)
 *   not here  prestart, createRuntime, poststart and poststop hooks, which are the host's (host-hooks.ts)
 */
import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';
import { guestPaths } from '../agent/agent.ts';
import type { HostNamespace } from './bundle-runtime.ts';
import { isHostHook } from './hook-plan.ts';
import type { OciConfig, OciMount } from './oci-config.ts';

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

export interface GuestConfig {
  /** For the agent: without root; carried mounts name their place below `sharePath`. */
  spec: Record<string, unknown>;
  carried: CarriedMount[];
  shared: SharedMount[];
  readOnlyRootfs: boolean;
  /** It names a PID namespace to join. */
  joinsPids: boolean;
  /** It is to have a PID namespace of its own. */
  ownsPids: boolean;
}

export interface TranslateOptions {
  /** Where the container's part of the share is seen in the guest. */
  sharePath: string;
  /** What the machine was given: a container may repeat it. */
  sysctls?: Record<string, string>;
  /** A PID namespace named by its path is one of this sandbox's. */
  mayJoinPids?: boolean;
  /** Its /dev/shm, where that is not the machine's usual one. */
  shmPath?: string | undefined;
  /** The sandbox's own /etc/hosts, hostname, resolv.conf and /dev/shm, where no mount of the bundle's is. */
  podFiles?: boolean;
  /** The "guest" is the host's own kernel, whose mounts are what they say. */
  onHost?: boolean;
  /** What the host has mounted there tells others what is mounted below it (mount_namespaces(7)). Absent: it does. */
  isSharedByHost?: (source: string) => boolean;
  /** The host's namespaces, where the machine has them: a container that lists none of the kind means these. */
  hosts?: readonly HostNamespace[];
}

/** Throws Unsupported naming the field. */
export function guestConfig(config: OciConfig, options: TranslateOptions): GuestConfig {
  for (const foreign of ['windows', 'solaris', 'vm', 'zos'])
    if (config[foreign]) throw refused(foreign, 'containers run Linux in a machine of ours');
  checkHooks(config);
  const carried: CarriedMount[] = [];
  const shared: SharedMount[] = [];
  const translate = (mount: OciMount) =>
    options.onHost && isSharedWithHost(mount, options)
      ? translateShared(mount, shared, options)
      : translateMount(mount, carried, options);
  const mounts = [...withoutHostCgroups(config.mounts ?? [], options).map(translate), ...podFiles(config, options)];
  const { root: _root, hostname: _hostname, domainname: _domainname, hooks, ...rest } = config;
  const inside = hooks?.startContainer ?? [];
  const spec = {
    ...rest,
    ...(inside.length > 0 ? { hooks: { startContainer: inside } } : {}),
    ociVersion: '1.0.2',
    process: translateProcess(config.process),
    mounts,
    linux: {
      ...translateLinux(config, options),
      // Otherwise crun cuts every mount off from where it came from before it makes the container's.
      ...(shared.length > 0 ? { rootfsPropagation: 'rshared' } : {}),
    },
  };
  const pids = config.linux?.namespaces?.findLast(({ type }) => type === 'pid');
  const joinsPids = Boolean(pids?.path);
  const ownsPids = pids !== undefined && !joinsPids;
  return { spec, carried, shared, readOnlyRootfs: config.root?.readonly ?? false, joinsPids, ownsPids };
}

function refused(field: string, why: string): SampanError {
  return new SampanError('Unsupported', `config.json: ${field}: ${why}`);
}

/** A createContainer hook is a program of the host that runs in the container's own mounts, which are inside the machine, where the host's programs are not. */
function checkHooks(config: OciConfig): void {
  for (const [name, list] of Object.entries(config.hooks ?? {})) {
    if (!list?.length || name === 'startContainer' || isHostHook(name)) continue;
    throw name === 'createContainer'
      ? refused(
          'hooks.createContainer',
          "a program of the host does not run among the container's mounts, which are inside the machine; use createRuntime or startContainer",
        )
      : refused(`hooks.${name}`, 'runtime-spec knows no such hooks');
  }
}

/** Profiles that container engines name on every host with AppArmor: the machine is the stronger wall. Others were meant. */
const engineProfiles = new Set(['', 'unconfined', 'cri-containerd.apparmor.d', 'docker-default', 'nerdctl-default']);

function translateProcess(process: OciConfig['process']): Record<string, unknown> {
  const { apparmorProfile = '', selinuxLabel, ...rest } = process;
  if (!process.args?.length) throw new SampanError('Invalid', 'config.json: process.args is empty');
  const isEngines = engineProfiles.has(apparmorProfile) || apparmorProfile.startsWith('containers-default-');
  if (!isEngines) throw refused(`process.apparmorProfile ${apparmorProfile}`, 'the guest has no AppArmor');
  if (selinuxLabel) throw refused('process.selinuxLabel', 'the guest has no SELinux');
  return rest;
}

/** What engines add for a systemd in a container on hosts of version 1. It has a hierarchy of version 2 to itself, if it may write to it. */
function withoutHostCgroups(mounts: OciMount[], { onHost }: TranslateOptions): OciMount[] {
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

function translateMount(mount: OciMount, carried: CarriedMount[], options: TranslateOptions): OciMount {
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

const isSharedWithHost = (mount: OciMount, { isSharedByHost = () => true }: TranslateOptions) =>
  isShared(mount) && isSharedByHost(mount.source ?? '');

/** The last word on propagation counts. */
export const isShared = (mount: OciMount) =>
  isBindMount(mount) &&
  /shared$/.test((mount.options ?? []).findLast((flag) => /^r?(slave|private|shared|unbindable)$/.test(flag)) ?? '');

/** The same directory is one mount for all containers of a machine, so that those that come and go leave nothing behind. */
function translateShared(mount: OciMount, shared: SharedMount[], { sharePath }: TranslateOptions): OciMount {
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

function podFiles(config: OciConfig, options: TranslateOptions): OciMount[] {
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

/** The kernel's own, there in any guest. */
const guestDevices = new Set([
  '/dev/null', '/dev/zero', '/dev/full', '/dev/random', '/dev/urandom', '/dev/tty', '/dev/fuse', '/dev/net/tun', '/dev/console', '/dev/ptmx',
]); // biome-ignore format: a table

function translateLinux(config: OciConfig, options: TranslateOptions): Record<string, unknown> {
  const linux = config.linux ?? {};
  checkNamespaces(linux.namespaces ?? [], options);
  if (linux.uidMappings?.length || linux.gidMappings?.length)
    throw refused(
      'linux.uidMappings',
      'user namespaces are not used inside the machine, which keeps root apart itself',
    );
  if (linux.mountLabel) throw refused('linux.mountLabel', 'the guest has no SELinux');
  for (const field of ['intelRdt', 'timeOffsets', 'netDevices', 'memoryPolicy'])
    if (linux[field]) throw refused(`linux.${field}`, 'it names things of the host');
  const { devices, stranger: device } = translateDevices(linux, options);
  if (device) throw refused(`linux.devices ${device.path}`, 'devices of the host are not passed into a machine');
  for (const [key, value] of Object.entries(linux.sysctl ?? {}))
    if (options.sysctls?.[key] !== value)
      throw refused(`linux.sysctl ${key}`, "it is the sandbox's to set; this sandbox was made without it");
  const { cgroupsPath: _path, namespaces: _namespaces, sysctl: _sysctl, rootfsPropagation, ...rest } = linux;
  return {
    ...rest,
    ...(devices ? { devices } : {}),
    // The agent completes these: its own PID, mount and cgroup namespaces.
    namespaces: [],
    resources: translateResources(linux.resources ?? {}, options),
    ...(rootfsPropagation && !/shared/.test(rootfsPropagation) ? { rootfsPropagation } : {}),
  };
}

/**
 * Engines list every device of the host for a container that may use all (`--privileged`): what such a container has is all that is its machine's. A device that was
 * asked for among others is a stranger.
 */
function translateDevices(
  { devices, resources }: NonNullable<OciConfig['linux']>,
  { onHost = false }: TranslateOptions,
): { devices?: typeof devices; stranger?: { path: string } | undefined } {
  if (onHost || !devices) return {};
  const rules = (resources?.devices ?? []) as { allow?: boolean; type?: string; major?: number; minor?: number }[];
  const isAll = ({ allow, type = 'a', major = -1, minor = -1 }: (typeof rules)[number]) =>
    allow && ['', 'a'].includes(type) && major < 0 && minor < 0;
  if (Array.isArray(rules) && rules.some(isAll))
    return { devices: devices.filter(({ path }) => guestDevices.has(path)) };
  return { stranger: devices.find(({ path }) => !guestDevices.has(path)) };
}

/** A namespace that is not listed is the host's (runtime-spec, config-linux.md). */
function checkNamespaces(namespaces: { type: string; path?: string }[], options: TranslateOptions): void {
  const given = new Map(namespaces.map(({ type, path }) => [type, path ?? '']));
  for (const type of ['network', 'pid', 'ipc', 'mount'])
    if (!given.has(type) && !options.hosts?.includes(type as HostNamespace))
      throw refused(`linux.namespaces`, `no ${type} namespace means the host's, which a machine does not reach`);
  for (const type of ['user', 'time'])
    if (given.has(type)) throw refused(`linux.namespaces ${type}`, 'it is not made inside a machine');
  if (given.get('pid') && !options.mayJoinPids)
    throw refused('linux.namespaces pid', `the processes of ${given.get('pid')} are not in this machine`);
}

type Resources = Record<string, unknown>;

export function translateResources(
  resources: Resources,
  { onHost = false }: Pick<TranslateOptions, 'onHost'> = {},
): Resources {
  const { cpu, blockIO, hugepageLimits, network, rdma, ...rest } = resources;
  const ofHost = Object.entries({ blockIO, network, rdma }).filter(([, value]) => hasContent(value));
  const pages = (hugepageLimits as { limit?: number; pageSize?: string }[] | null) ?? [];
  const wanted = pages.find((one) => (one.limit ?? 0) > 0);
  if (onHost) {
    const all = { ...rest, ...Object.fromEntries(ofHost), ...(wanted ? { hugepageLimits } : {}) };
    return { ...withoutNull(all), ...(cpu ? { cpu: withoutNull(cpu as Resources) } : {}) };
  }
  for (const [field] of ofHost) throw refused(`linux.resources.${field}`, 'it names things of the host');
  if (wanted) throw refused(`linux.resources.hugepageLimits ${wanted.pageSize}`, 'guests have no huge pages to give');
  return { ...withoutNull(rest), ...(cpu ? { cpu: translateCpu(cpu as Resources) } : {}) };
}

function translateCpu(cpu: Resources): Resources {
  const { cpus, mems, realtimeRuntime, realtimePeriod, ...rest } = cpu;
  if (cpus) throw refused('linux.resources.cpu.cpus', 'a machine does not see the CPUs of its host');
  if (mems) throw refused('linux.resources.cpu.mems', 'a machine does not see the memory nodes of its host');
  if (realtimeRuntime || realtimePeriod) throw refused('linux.resources.cpu.realtimeRuntime', 'cgroup v2 has none');
  return withoutNull(rest);
}

function hasContent(value: unknown): boolean {
  if (!value || typeof value !== 'object') return Boolean(value);
  return Object.values(value).some((item) => (Array.isArray(item) ? item.length > 0 : Boolean(item)));
}

const withoutNull = (value: Resources): Resources =>
  Object.fromEntries(Object.entries(value).filter(([, item]) => item !== null));
