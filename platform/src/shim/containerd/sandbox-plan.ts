/** What machine a sandbox of containerd's sandbox API is, by the Pod's configuration that comes with it. Pure. */
import { SampanError } from '@sampan/api/errors.ts';
import type { CreateBundleSandbox, HostNamespace, SandboxHandler } from '../../runtime/bundles/bundle-runtime.ts';
import { podCgroup } from '../../runtime/bundles/cgroup-path.ts';
import { handlerOf, type Limits, machineSize, sharedWithHost } from '../../runtime/bundles/machine-place.ts';
import * as cri from '../../runtime/generated/cri.ts';
import { checkSysctls } from '../../runtime/sandbox/handlers.ts';
import { resolvConf } from '../../runtime/sandbox/vm/sandbox-setup.ts';
import { networkOf } from './task-plan.ts';

export interface SandboxPlanOptions {
  /** Of the runtime that containerd was told to use. */
  handler: SandboxHandler;
  /** Empty: the Pod is to have the host's network. */
  netnsPath: string;
  canJoinNetns: boolean;
  /** The host's, for a Pod that says nothing of names. */
  hostResolvConf: string;
}

/** Throws Unsupported naming the field. */
export function sandboxPlan(
  config: cri.PodSandboxConfig,
  options: SandboxPlanOptions,
): Omit<CreateBundleSandbox, 'id'> {
  const annotations = config.annotations ?? {};
  const handler = handlerOf(annotations, options.handler);
  const hostNamespaces = hostNamespacesOf(config, handler);
  checkSysctls(config, handler);
  const { dnsConfig, linux } = config;
  const cgroup = podCgroup(linux?.cgroupParent);
  return {
    handler,
    hostname: config.hostname ?? '',
    resources: machineSize(limitsOf(linux?.resources)),
    annotations,
    ...(cgroup ? { cgroup } : {}),
    ...networkOf(annotations, options.canJoinNetns ? options.netnsPath : undefined),
    ...sharedWithHost(hostNamespaces),
    resolvConf: dnsConfig ? resolvConf(dnsConfig, []) : options.hostResolvConf,
    sysctls: linux?.sysctls ?? {},
    // There is no pause container whose processes a container could be told to join: the Pod's namespace is the machine's to keep.
    sharePidNamespace: !hostNamespaces.includes('pid'),
    podFiles: true,
  };
}

function hostNamespacesOf({ linux }: cri.PodSandboxConfig, handler: SandboxHandler): HostNamespace[] {
  const { network, pid, ipc, usernsOptions } = linux?.securityContext?.namespaceOptions ?? {};
  if (usernsOptions?.mode === cri.NamespaceMode.POD)
    throw new SampanError('Unsupported', 'hostUsers: false: user namespaces are not made inside a machine');
  const modes: [HostNamespace, string, cri.NamespaceMode | undefined][] = [
    ['network', 'hostNetwork', network],
    ['pid', 'hostPID', pid],
    ['ipc', 'hostIPC', ipc],
  ];
  const asked = modes.filter(([, , mode]) => mode === cri.NamespaceMode.NODE);
  if (handler === 'vm' && asked[0])
    throw new SampanError('Unsupported', `${asked[0][1]}: a machine under containerd has namespaces of its own`);
  return asked.map(([type]) => type);
}

function limitsOf(resources: cri.LinuxContainerResources | undefined): Limits {
  const { cpuQuota = 0n, cpuPeriod = 0n, memoryLimitInBytes = 0n } = resources ?? {};
  return { quota: Number(cpuQuota), period: Number(cpuPeriod), bytes: Number(memoryLimitInBytes) };
}
