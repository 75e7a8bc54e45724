/**
 * Which sandbox a container belongs into: a pure function of its config.json and of what is there.
 *
 * Containers of one pod share a machine. Podman says so twice: by its pod's id in an annotation, and by namespaces that are named through
 * the pid of the pod's first container, which is a holder of ours. Any other container gets a machine of its own.
 */
import { SampanError } from '@sampan/api/errors.ts';
import type { CreateBundleSandbox, SandboxHandler } from '../runtime/bundles/bundle-runtime.ts';
import { bundleCgroup } from '../runtime/bundles/cgroup-path.ts';
import {
  handlerOf,
  hostNamespacesOf,
  hostnameOf,
  limitsOf,
  machineSize,
  sharedWithHost,
} from '../runtime/bundles/machine-place.ts';
import type { OciConfig } from '../runtime/bundles/oci-config.ts';
import { keyOf } from './container-records.ts';

/** Set by Podman and CRI-O on each container of a pod. */
const podAnnotation = 'io.kubernetes.cri-o.SandboxID';
/** Podman's containers of a pod are in a group below one that has the pod's id for a name; `play kube` leaves the annotation out. */
const podGroup = /\/[0-9a-f]{64}\/[^/]+\/?$/;

/** A container that may be joined. */
export interface Neighbour {
  key: string;
  sandboxId: string;
  holderPid: number;
  /** Of its own process, where the host has that. */
  processPid?: number;
  root: string;
  annotations: Record<string, string>;
}

export type Placement = { join: string; pidNamespaceOf?: string } | { create: Omit<CreateBundleSandbox, 'id'> };

/** A container that is to be placed: Podman's id of it, and the engine's state directory. */
export interface Newcomer {
  id: string;
  root: string;
  /** By the runtime's name. */
  handler?: SandboxHandler | undefined;
}

/** Throws Unsupported: a namespace of a stranger, the host's network, an unknown handler. */
export function placement(
  config: OciConfig,
  { id, root, handler = 'vm' }: Newcomer,
  neighbours: Neighbour[],
): Placement {
  const annotations = config.annotations ?? {};
  const pod = annotations[podAnnotation];
  const isFirstOfPod = (one: Neighbour) => pod !== undefined && one.key === keyOf(root, pod);
  const isOfPod = (one: Neighbour) => one.root === root && one.annotations[podAnnotation] === pod;
  const ofPod =
    pod === undefined || pod === id ? undefined : (neighbours.find(isFirstOfPod) ?? neighbours.find(isOfPod));
  const namespaces = config.linux?.namespaces ?? [];
  const stranger = namespaces.find(({ type, path }) => path && !mayName(type, path));
  if (stranger)
    throw new SampanError(
      'Unsupported',
      `linux.namespaces: ${stranger.type} (${stranger.path}) is not of a machine of this runtime`,
    );
  const shared = namespaces.filter(({ type, path }) => path && joinable.has(type) && ownerOf(path) !== undefined);
  const owners = new Set(shared.map(({ path }) => neighbours.find((one) => isOwner(one, path!))?.sandboxId));
  const [owner] = owners;
  if (owners.size > 1 || (shared.length > 0 && owner === undefined))
    throw new SampanError(
      'Unsupported',
      `linux.namespaces: ${shared.map(({ type, path }) => `${type} (${path})`).join(', ')} are not of one machine of this runtime`,
    );
  // Of a pod that is restarted some containers may be in the machine from before: whose namespaces are named counts more.
  const join = owner ?? ofPod?.sandboxId;
  if (join === undefined) {
    return {
      create: sandboxOf(config, annotations, { usual: usualGroups(id), handler: handlerOf(annotations, handler) }),
    };
  }
  const pid = shared.find(({ type }) => type === 'pid')?.path;
  const pidOwner = pid && neighbours.find((one) => isOwner(one, pid));
  return pidOwner ? { join, pidNamespaceOf: pidOwner.key } : { join };
}

/**
 * Of a machine that is made for the container `key`: its own name, with a number behind it while the machine is still there that was made for it before. A pod's first
 * container may be restarted while others are in its machine.
 */
export function sandboxIdFor(key: string, taken: Pick<Neighbour, 'sandboxId'>[]): string {
  const isTaken = (id: string) => taken.some(({ sandboxId }) => sandboxId === id);
  let id = key;
  for (let number = 2; isTaken(id); number++) id = `${key}-${number}`;
  return id;
}

/** Whether the machine was made for this container. */
export const isFirstIn = (sandboxId: string, key: string): boolean =>
  sandboxId === key || sandboxId.startsWith(`${key}-`);

/** Throws Unsupported where a container that joins a machine asks for one of another kind. */
export function checkHandler(annotations: Record<string, string>, joined: SandboxHandler): void {
  const wanted = handlerOf(annotations, joined);
  if (wanted !== joined)
    throw new SampanError(
      'Unsupported',
      `annotation sampan.dev/handler: ${wanted} is wanted, but the pod's machine is of the handler ${joined}; the runtime's name decides for a whole pod: sampan-runtime-namespace, or sampan-runtime for vm`,
    );
}

const joinable = new Set(['network', 'ipc', 'uts', 'pid']);

/** A network may be in a namespace that was made for it; anything else is a holder's, or cannot be meant. */
function mayName(type: string, path: string): boolean {
  if (type === 'network' && !path.startsWith('/proc/')) return true;
  return joinable.has(type) && ownerOf(path) !== undefined;
}

const isOwner = ({ holderPid, processPid }: Neighbour, path: string): boolean =>
  [holderPid, processPid].includes(ownerOf(path) ?? 0);

/** "/proc/4711/ns/net" is of process 4711. */
function ownerOf(path: string): number | undefined {
  const pid = /^\/proc\/(\d{1,8})\/ns\/\w+$/.exec(path)?.[1];
  return pid === undefined ? undefined : Number(pid);
}

/** Where Podman puts a container that is in no pod, and whose user names no other place. */
const usualGroups = (id: string): string[] => [`/libpod_parent/libpod-${id}`, `machine.slice:libpod:${id}`];

function sandboxOf(
  config: OciConfig,
  annotations: Record<string, string>,
  { usual, handler }: { usual: string[]; handler: SandboxHandler },
): Omit<CreateBundleSandbox, 'id'> {
  const hostNamespaces = hostNamespacesOf(config, handler);
  const { cgroupsPath } = config.linux ?? {};
  const isPods = annotations[podAnnotation] !== undefined || podGroup.test(cgroupsPath ?? '');
  const cgroup = bundleCgroup({ cgroupsPath, handler, usual, isPods });
  const network = config.linux?.namespaces?.find(({ type }) => type === 'network');
  if (!network && handler === 'vm')
    throw new SampanError(
      'Unsupported',
      "linux.namespaces: no network means the host's, which a container in a machine does not reach",
    );
  return {
    handler,
    hostname: hostnameOf(config),
    resources: machineSize(limitsOf(config)),
    annotations,
    sysctls: config.linux?.sysctl ?? {},
    ...(cgroup ? { cgroup } : {}),
    ...(network?.path ? { network: 'netns', netnsPath: network.path } : { network: 'none' }),
    ...sharedWithHost(hostNamespaces),
  };
}
