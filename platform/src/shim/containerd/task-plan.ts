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
import {
  handlerOf,
  hostNamespacesOf,
  hostnameOf,
  type Limits,
  limitsOf,
  machineSize,
  sharedWithHost,
} from '../../runtime/bundles/machine-place.ts';
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
  const isPods = annotations[`${cri}.container-type`] === 'sandbox';
  const cgroup = bundleCgroup({
    ...{ cgroupsPath: config.linux?.cgroupsPath, handler, isPods },
    usual: [options.usualCgroup],
  });
  return {
    kind: 'own-machine',
    sandbox: {
      handler,
      hostname: hostnameOf(config),
      resources: machineSize(podLimits(annotations) ?? limitsOf(config)),
      annotations,
      ...networkOf(annotations, options.canJoinNetns ? netnsPath : undefined),
      ...sharedWithHost(hostNamespaces),
      ...(sysctls ? { sysctls } : {}),
      ...(cgroup ? { cgroup } : {}),
    },
  };
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
function podLimits(annotations: Record<string, string>): Limits | undefined {
  if (annotations[`${cri}.container-type`] !== 'sandbox') return undefined;
  const told = (name: string) => {
    const text = annotations[`${cri}.sandbox-${name}`] ?? '';
    return /^\d{1,18}$/.test(text) ? Number(text) : 0;
  };
  return { quota: told('cpu-quota'), period: told('cpu-period'), bytes: told('memory') };
}
