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
import { SampanError } from '@sampan/api/errors.ts';
import type { HostNamespace } from './bundle-runtime.ts';
import { type CarriedMount, guestMounts, type MountOptions, type SharedMount } from './guest-mounts.ts';
import { translateResources } from './guest-resources.ts';
import { isHostHook } from './hook-plan.ts';
import { type OciConfig, refused } from './oci-config.ts';

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

export interface TranslateOptions extends MountOptions {
  /** What the machine was given: a container may repeat it. */
  sysctls?: Record<string, string>;
  /** A PID namespace named by its path is one of this sandbox's. */
  mayJoinPids?: boolean;
  /** The host's namespaces, where the machine has them: a container that lists none of the kind means these. */
  hosts?: readonly HostNamespace[];
}

/** Throws Unsupported naming the field. */
export function guestConfig(config: OciConfig, options: TranslateOptions): GuestConfig {
  for (const foreign of ['windows', 'solaris', 'vm', 'zos'])
    if (config[foreign]) throw refused(foreign, 'containers run Linux in a machine of ours');
  checkHooks(config);
  const { mounts, carried, shared } = guestMounts(config, options);
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
