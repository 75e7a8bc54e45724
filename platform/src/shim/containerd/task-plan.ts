/**
 * What machine a task runs in, by its config.json. Pure.
 *
 *   a task of ctr, nerdctl ...     a machine of its own
 *   a sandbox of the CRI plugin    a machine, for it and every container of its Pod
 *   a container of the CRI plugin  the machine of its sandbox
 */
import { SampanError } from '@sampan/api/errors.ts';
import type { CreateBundleSandbox, SandboxHandler } from '../../runtime/bundles/bundle-runtime.ts';
import type { OciConfig } from '../../runtime/bundles/oci-config.ts';

/** Annotations of containerd's CRI plugin. */
const cri = 'io.kubernetes.cri';

export type TaskPlan =
  | { kind: 'own-machine'; sandbox: Omit<CreateBundleSandbox, 'id'> }
  /** `sandboxId` is containerd's. */
  | { kind: 'in-sandbox'; sandboxId: string };

/** Throws Invalid or Unsupported naming the annotation. */
export function taskPlan(config: OciConfig, options: { canJoinNetns: boolean; handler: SandboxHandler }): TaskPlan {
  const annotations = config.annotations ?? {};
  if (annotations[`${cri}.container-type`] === 'container') {
    const sandboxId = annotations[`${cri}.sandbox-id`];
    if (!sandboxId) throw new SampanError('Invalid', `annotation ${cri}.sandbox-id is missing`);
    return { kind: 'in-sandbox', sandboxId };
  }
  const netnsPath = config.linux?.namespaces?.find(({ type }) => type === 'network')?.path;
  const sysctls = config.linux?.sysctl;
  return {
    kind: 'own-machine',
    sandbox: {
      handler: handlerOf(annotations, options.handler),
      hostname: config.hostname ?? '',
      resources: resourcesOf(config, annotations),
      annotations,
      ...networkOf(annotations, options.canJoinNetns ? netnsPath : undefined),
      ...(sysctls ? { sysctls } : {}),
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
