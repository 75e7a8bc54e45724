/** PodSandboxStatus, ListPodSandbox. */
import { containerStatusOf } from '../../containers/container-status.ts';
import type { Context } from '../../context.ts';
import * as cri from '../../generated/cri.ts';
import { hasLabels } from '../../has-labels.ts';
import type { Sandbox } from './sandbox.ts';

export function podSandboxStatusOf(sandbox: Sandbox): cri.PodSandboxStatus {
  const { record } = sandbox;
  const { ipv4, ipv6 } = (record.state === 'ready' && record.network) || {};
  return {
    id: record.id,
    metadata: record.config.metadata,
    state: stateOf(sandbox),
    createdAt: record.createdAtNanos,
    network: { ip: ipv4?.address ?? '', additionalIps: ipv6 ? [{ ip: ipv6.address }] : [] },
    linux: { namespaces: { options: record.config.linux?.securityContext?.namespaceOptions ?? {} } },
    labels: record.config.labels ?? {},
    annotations: record.config.annotations ?? {},
    runtimeHandler: record.runtimeHandler,
  };
}

const stateOf = (sandbox: Sandbox) =>
  sandbox.record.state === 'ready' ? cri.PodSandboxState.SANDBOX_READY : cri.PodSandboxState.SANDBOX_NOTREADY;

export async function podSandboxStatus(
  context: Context,
  request: cri.PodSandboxStatusRequest,
): Promise<cri.PodSandboxStatusResponse> {
  const sandbox = context.sandbox(request.podSandboxId);
  const containersStatuses = [...sandbox.containers.values()].map(containerStatusOf);
  const info: Record<string, string> = request.verbose ? { info: JSON.stringify(await verboseInfo(sandbox)) } : {};
  return { status: podSandboxStatusOf(sandbox), containersStatuses, timestamp: context.nowNanos(), info };
}

/** What CRI has no field for: the machine, and why a sandbox is not ready. */
async function verboseInfo(sandbox: Sandbox): Promise<object> {
  const { record, machine } = sandbox;
  const stats = record.state === 'ready' ? await machine?.stats().catch(() => undefined) : undefined;
  return {
    message: record.message,
    machine: {
      vcpus: record.shape.vcpus,
      memoryMib: record.shape.memoryMib,
      memoryLimitBytes: record.memoryLimitBytes,
      scratchBytes: record.scratchBytes,
      origin: machine?.origin,
      pssBytes: stats?.pssBytes,
      cpuNanos: stats?.cpuNanos.toString(),
    },
    images: record.images,
  };
}

/** Sandboxes that are still being made are nobody's yet. */
export function listPodSandbox(context: Context, request: cri.ListPodSandboxRequest): cri.ListPodSandboxResponse {
  const { filter } = request;
  const items = [...context.sandboxes.values()]
    .filter(({ record }) => record.state !== 'creating')
    .filter((sandbox) => !filter?.id || sandbox.id.startsWith(filter.id))
    .filter((sandbox) => filter?.state?.state === undefined || stateOf(sandbox) === filter.state.state)
    .filter(({ record }) => hasLabels(record.config.labels, filter?.labelSelector))
    .map((sandbox): cri.PodSandbox => {
      const { id, metadata, state, createdAt, labels, annotations, runtimeHandler } = podSandboxStatusOf(sandbox);
      return { id, metadata, state, createdAt, labels, annotations, runtimeHandler };
    });
  return { items };
}
