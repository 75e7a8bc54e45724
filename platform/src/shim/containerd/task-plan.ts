/**
 * What machine a task runs in, by its config.json. Pure.
 *
 *   a task of ctr, nerdctl ...     a machine of its own
 *   a sandbox of the CRI plugin    a machine, for it and every container of its Pod
 *   a container of the CRI plugin  the machine of its sandbox
 */
import { SampanError } from '@sampan/api/errors.ts';
import type { CreateBundleSandbox, SandboxHandler } from '../../runtime/bundles/bundle-runtime.ts';
import { bundleCgroup } from '../../runtime/bundles/cgroup-path.ts';
import { hostNamespacesOf, hostnameOf } from '../../runtime/bundles/machine-place.ts';
import type { OciConfig } from '../../runtime/bundles/oci-config.ts';

/** Annotations of containerd's CRI plugin. */
const cri = 'io.kubernetes.cri';

export type TaskPlan =
  | { kind: 'own-machine'; sandbox: Omit<CreateBundleSandbox, 'id'> }
  /** `sandboxId` is containerd's. */
  | { kind: 'in-sandbox'; sandboxId: string };

export interface TaskPlanOptions {
  canJoinNetns: boolean;
  handler: SandboxHandler;
  /** The control group that containerd names where its client names none. */
  usualCgroup: string;
}

/** Throws Invalid or Unsupported naming the annotation or field. */
export function taskPlan(config: OciConfig, options: TaskPlanOptions): TaskPlan {
  const annotations = config.annotations ?? {};
  if (annotations[`${cri}.container-type`] === 'container') {
    const sandboxId = annotations[`${cri}.sandbox-id`];
    if (!sandboxId) throw new SampanError('Invalid', `annotation ${cri}.sandbox-id is missing`);
    return { kind: 'in-sandbox', sandboxId };
  }
  const netnsPath = config.linux?.namespaces?.find(({ type }) => type === 'network')?.path;
  const sysctls = config.linux?.sysctl;
  const handler = handlerOf(annotations, options.handler);
  const hostNamespaces = hostNamespacesOf(config, handler);
  const cgroupsPath = config.linux?.cgroupsPath;
  // A machine that is kept ready on the host cannot be moved: that it is there at once is worth more than a place that nobody asked for.
  const isUsual = handler === 'namespace' && cgroupsPath === options.usualCgroup;
  const cgroup = isUsual ? undefined : bundleCgroup(cgroupsPath);
  return {
    kind: 'own-machine',
    sandbox: {
      handler,
      hostname: hostnameOf(config),
      resources: resourcesOf(config, annotations),
      annotations,
      ...networkOf(annotations, options.canJoinNetns ? netnsPath : undefined),
      ...(hostNamespaces.includes('network') ? { network: 'host' } : {}),
      ...(hostNamespaces.length > 0 ? { hostNamespaces } : {}),
      ...(sysctls ? { sysctls } : {}),
      ...(cgroup ? { cgroup } : {}),
    },
  };
}

/** An annotation's word counts more than the runtime's name. */
export function handlerOf(annotations: Record<string, string>, byRuntime: SandboxHandler): SandboxHandler {
  const handler = annotations['sampan.dev/handler'] ?? byRuntime;
  if (handler !== 'vm' && handler !== 'namespace')
    throw new SampanError('Unsupported', `annotation sampan.dev/handler "${handler}": wanted vm or namespace`);
  return handler;
}

export function networkOf(
  annotations: Record<string, string>,
  netnsPath: string | undefined,
): Pick<CreateBundleSandbox, 'network' | 'netnsPath'> {
  const asked = annotations['sampan.dev/network'];
  if (asked !== undefined && asked !== 'bridge' && asked !== 'none')
    throw new SampanError('Unsupported', `annotation sampan.dev/network "${asked}": wanted bridge or none`);
  if (asked) return { network: asked };
  return netnsPath ? { network: 'netns', netnsPath } : { network: 'none' };
}

/** The CRI plugin tells a Pod's sum by annotations; a single container's own limits stand for themselves. */
function resourcesOf(
  config: OciConfig,
  annotations: Record<string, string>,
): { cpuMillicores?: number; memoryBytes?: number } {
  const { cpu = {}, memory = {} } = (config.linux?.resources ?? {}) as {
    cpu?: { quota?: number; period?: number };
    memory?: { limit?: number };
  };
  const isPod = annotations[`${cri}.container-type`] === 'sandbox';
  const told = (name: string) => Number(annotations[`${cri}.sandbox-${name}`] ?? 0);
  const quota = isPod ? told('cpu-quota') : Number(cpu.quota ?? 0);
  const period = (isPod ? told('cpu-period') : Number(cpu.period ?? 0)) || 100_000;
  const bytes = isPod ? told('memory') : Number(memory.limit ?? 0);
  return {
    ...(quota > 0 ? { cpuMillicores: Math.ceil((quota * 1000) / period) } : {}),
    ...(bytes > 0 ? { memoryBytes: bytes } : {}),
  };
}
