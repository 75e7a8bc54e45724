/** What machine a sandbox of containerd's sandbox API is, by the Pod's configuration that comes with it. Pure. */
import { SampanError } from '@sampan/api/errors.ts';
import type { CreateBundleSandbox, SandboxHandler } from '../../runtime/bundles/bundle-runtime.ts';
import * as cri from '../../runtime/generated/cri.ts';
import { checkSysctls } from '../../runtime/sandbox/handlers.ts';
import { resolvConf } from '../../runtime/sandbox/vm/sandbox-setup.ts';
import { handlerOf, networkOf } from './task-plan.ts';

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
  refuseHostNamespaces(config);
  checkSysctls(config, handler);
  const { dnsConfig, linux } = config;
  return {
    handler,
    hostname: config.hostname ?? '',
    resources: resourcesOf(linux?.resources),
    annotations,
    ...networkOf(annotations, options.canJoinNetns ? options.netnsPath : undefined),
    resolvConf: dnsConfig ? resolvConf(dnsConfig, []) : options.hostResolvConf,
    sysctls: linux?.sysctls ?? {},
    // There is no pause container whose processes a container could be told to join: the Pod's namespace is the machine's to keep.
    sharePidNamespace: true,
    podFiles: true,
  };
}

function refuseHostNamespaces({ linux }: cri.PodSandboxConfig): void {
  const { network, pid, ipc, usernsOptions } = linux?.securityContext?.namespaceOptions ?? {};
  for (const [what, mode] of Object.entries({ hostNetwork: network, hostPID: pid, hostIPC: ipc }))
    if (mode === cri.NamespaceMode.NODE)
      throw new SampanError('Unsupported', `${what}: a machine under containerd has namespaces of its own`);
  if (usernsOptions?.mode === cri.NamespaceMode.POD)
    throw new SampanError('Unsupported', 'hostUsers: false: user namespaces are not made inside a machine');
}

function resourcesOf(resources: cri.LinuxContainerResources | undefined): CreateBundleSandbox['resources'] & object {
  const { cpuQuota = 0n, cpuPeriod = 0n, memoryLimitInBytes = 0n } = resources ?? {};
  const period = cpuPeriod > 0n ? cpuPeriod : 100_000n;
  return {
    ...(cpuQuota > 0n ? { cpuMillicores: Math.ceil(Number(cpuQuota * 1000n) / Number(period)) } : {}),
    ...(memoryLimitInBytes > 0n ? { memoryBytes: Number(memoryLimitInBytes) } : {}),
  };
}
