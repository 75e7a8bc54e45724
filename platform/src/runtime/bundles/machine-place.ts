/** Where on the host a sandbox's machine stands: behind a tap, or in network namespaces as any process; with which of the host's own namespaces, and how big. Pure. */
import { hostname } from 'node:os';
import { SampanError } from '@sampan/api/errors.ts';
import type { Attachment } from '../../network/network.ts';
import type { MachineSpec } from '../../vmm/vmm.ts';
import type { CreateBundleSandbox, HostNamespace, SandboxHandler } from './bundle-runtime.ts';
import type { OciConfig } from './oci-config.ts';

const handlerAnnotation = 'sampan.dev/handler';

const shareable: HostNamespace[] = ['network', 'pid', 'ipc'];

/** The host's namespaces that a container means, by not listing them (runtime-spec, config-linux.md). Only where there is no machine in between. */
export function hostNamespacesOf(config: OciConfig, handler: SandboxHandler): HostNamespace[] {
  if (handler === 'vm') return [];
  const given = new Set((config.linux?.namespaces ?? []).map(({ type }) => type));
  return shareable.filter((type) => !given.has(type));
}

/** What they are in a sandbox's request: whoever has the host's network has no other. */
export function sharedWithHost(
  hostNamespaces: HostNamespace[],
): Pick<CreateBundleSandbox, 'hostNamespaces'> & { network?: 'host' } {
  return {
    ...(hostNamespaces.includes('network') ? { network: 'host' } : {}),
    ...(hostNamespaces.length > 0 ? { hostNamespaces } : {}),
  };
}

/** An annotation's word counts more than the runtime's name. Throws Unsupported naming it. */
export function handlerOf(annotations: Record<string, string>, byRuntime: SandboxHandler): SandboxHandler {
  const handler = annotations[handlerAnnotation] ?? byRuntime;
  if (handler !== 'vm' && handler !== 'namespace')
    throw new SampanError('Unsupported', `annotation ${handlerAnnotation} is "${handler}"; wanted vm or namespace`);
  return handler;
}

/** What limits containers: CPU time in microseconds of each period's, memory in bytes. */
export interface Limits {
  quota: number;
  period: number;
  bytes: number;
}

export function limitsOf({ linux }: OciConfig): Limits {
  const { cpu, memory } = linux?.resources ?? {};
  return { quota: cpu?.quota ?? 0, period: cpu?.period ?? 0, bytes: memory?.limit ?? 0 };
}

/** A machine is as big as its containers may become; a number that is not above zero limits nothing. */
export function machineSize({ quota, period, bytes }: Limits): { cpuMillicores?: number; memoryBytes?: number } {
  return {
    ...(quota > 0 ? { cpuMillicores: Math.ceil((quota * 1000) / (period > 0 ? period : 100_000)) } : {}),
    ...(bytes > 0 ? { memoryBytes: bytes } : {}),
  };
}

/** A container without a UTS namespace of its own is to have the host's name: in a machine it can have that much of it. */
export function hostnameOf(config: OciConfig, hosts: string = hostname()): string {
  const isHosts = !(config.linux?.namespaces ?? []).some(({ type }) => type === 'uts');
  return config.hostname || (isHosts ? hosts : '');
}

/** Its control group, or its container's. */
export function machineGroup({ cgroup }: CreateBundleSandbox): Pick<MachineSpec, 'cgroupParent' | 'containerCgroup'> {
  if (!cgroup) return {};
  const { path, isOwn } = cgroup;
  return cgroup.isContainers ? { containerCgroup: path } : { cgroupParent: { path, isOwn } };
}

/** Throws Unsupported: a virtual machine is in none of the host's namespaces. */
export function machinePlace(
  { id, handler, network, netnsPath, hostNamespaces = [] }: CreateBundleSandbox,
  attachment: Attachment | undefined,
): Pick<MachineSpec, 'nic' | 'namespaces'> {
  if (handler === 'vm') {
    if (network === 'host' || hostNamespaces.length > 0)
      throw new SampanError('Unsupported', `sandbox ${id}: the host's namespaces are not reached from a machine`);
    const { tapName, mac = '', netnsPath: tapNetns } = attachment ?? {};
    return tapName ? { nic: { tapName, mac, ...(tapNetns ? { netnsPath: tapNetns } : {}) } } : {};
  }
  const own = (type: 'pid' | 'ipc') => (hostNamespaces.includes(type) ? 'host' : 'own');
  const at = network === 'netns' && netnsPath?.startsWith('/') ? (netnsPath as `/${string}`) : 'own';
  return { namespaces: { network: network === 'host' ? 'host' : at, pid: own('pid'), ipc: own('ipc') } };
}
