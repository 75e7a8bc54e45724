/**
 * The OCI runtime-spec (1.0.2) config of a container in a VM: a pure function of CRI's config, the image's and the sandbox's.
 *
 * The machine is the Pod: its network, IPC and UTS namespaces are the guest's own, so a container unshares mounts, its cgroup view and
 * (unless shared) processes only. Root and volume mounts are the agent's to add.
 */
import type { ImageConfig } from '../../images/images.ts';
import { guestPaths } from '../agent/agent.ts';
import { defaultMaskedPaths, defaultReadonlyPaths } from '../default-paths.ts';
import * as cri from '../generated/cri.ts';
import { containerCapabilities } from './capabilities.ts';
import { containerDevices, type HostDevice } from './devices.ts';
import { standardMounts } from './mounts.ts';
import { containerArgs, containerEnv } from './process.ts';
import { ociResources, pidsLimit } from './resources.ts';
import { seccompFor } from './seccomp.ts';

export interface SpecInput {
  id: string;
  hostname: string;
  config: cri.ContainerConfig;
  image: ImageConfig;
  /** containerPaths of the volumes. */
  volumePaths: string[];
  podMemoryBytes: number;
  /** process.arch of the guest: the host's. */
  architecture: string;
  /** Major and minor of the kernel that the container runs on: at least that. Absent: of the oldest guest. */
  kernel?: readonly [number, number];
  /** Text of the container's seccomp profile of kind Localhost. */
  seccompProfile?: string;
  /** What the host has under the devices' paths; absent: the containers run on a kernel of their own. */
  hostDevices?: HostDevice[];
}

export function ociSpec(input: SpecInput): object {
  const security = input.config.linux?.securityContext;
  const privileged = security?.privileged ?? false;
  const mounts = standardMounts({
    privileged,
    taken: new Set(input.volumePaths),
    readOnlyRootfs: security?.readonlyRootfs ?? false,
  });
  return { ociVersion: '1.0.2', process: processOf(input), mounts, linux: linuxOf(input) };
}

function processOf({ config, image, hostname }: SpecInput): object {
  const resources = config.linux?.resources;
  const security = config.linux?.securityContext;
  return {
    terminal: config.tty ?? false,
    // The agent resolves the image's names into numbers here.
    user: { uid: 0, gid: 0 },
    args: containerArgs(config, image),
    env: containerEnv(config, image, hostname),
    cwd: config.workingDir || image.WorkingDir || '/',
    capabilities: containerCapabilities(security),
    noNewPrivileges: security?.noNewPrivs ?? false,
    oomScoreAdj: Number(resources?.oomScoreAdj ?? 0n),
    // Soft 1024 as systemd's services have it: programs that close every descriptor stay fast, the others raise it themselves.
    rlimits: [{ type: 'RLIMIT_NOFILE', soft: 1024, hard: 524_288 }],
  };
}

function linuxOf(input: SpecInput): object {
  const { id, config, podMemoryBytes, architecture, kernel, seccompProfile, hostDevices } = input;
  const security = config.linux?.securityContext;
  const privileged = security?.privileged ?? false;
  const { devices, rules } = containerDevices(config, hostDevices);
  const seccomp = seccompFor(security, { architecture, ...(kernel ? { kernel } : {}) }, seccompProfile);
  const resources = {
    ...ociResources(config.linux?.resources),
    pids: { limit: pidsLimit(podMemoryBytes) },
    devices: rules,
  };
  return {
    namespaces: namespacesOf(security?.namespaceOptions),
    cgroupsPath: `${guestPaths.cgroup}/${id}`,
    resources,
    devices,
    ...(privileged ? {} : paths(security)),
    ...(seccomp ? { seccomp } : {}),
  };
}

/** Unset means the default; an empty list means none (procMount: Unmasked). */
function paths(security: cri.LinuxContainerSecurityContext | undefined): object {
  return {
    maskedPaths: security?.maskedPaths ?? defaultMaskedPaths,
    readonlyPaths: security?.readonlyPaths ?? defaultReadonlyPaths,
  };
}

/** For POD and TARGET the agent joins the namespace that is there. */
function namespacesOf(options: cri.NamespaceOption | undefined): object[] {
  const own = [{ type: 'mount' }, { type: 'cgroup' }];
  const { POD, TARGET } = cri.NamespaceMode;
  return sharesPid(options, POD, TARGET) ? own : [...own, { type: 'pid' }];
}

function sharesPid(options: cri.NamespaceOption | undefined, ...modes: number[]): boolean {
  // POD is CRI's zero value: without options a container has a PID namespace of its own, as a Pod that says nothing.
  return options?.pid !== undefined && modes.includes(options.pid);
}
