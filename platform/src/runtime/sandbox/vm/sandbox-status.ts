/** PodSandboxStatus, ListPodSandbox. */
import { readlink } from 'node:fs/promises';
import { runtimeAnnotation } from '../../annotations.ts';
import { containerStatusOf } from '../../containers/container-status.ts';
import type { Context } from '../../context.ts';
import { criJson } from '../../cri-json.ts';
import * as cri from '../../generated/cri.ts';
import { hasLabels } from '../../has-labels.ts';
import { handlerOf } from '../handlers.ts';
import type { Sandbox } from './sandbox.ts';

const { waitsForRoom } = runtimeAnnotation;

export function podSandboxStatusOf(context: Context, sandbox: Sandbox): cri.PodSandboxStatus {
  const { record, machine } = sandbox;
  // Nobody but us says this.
  const { [waitsForRoom]: _, ...asked } = record.config.annotations ?? {};
  const waits = record.state === 'ready' && machine?.waitsFor === 'room';
  const { ipv4, ipv6 } = (record.state === 'ready' && record.network) || {};
  return {
    id: record.id,
    metadata: record.config.metadata,
    state: stateOf(sandbox),
    createdAt: record.createdAtNanos,
    network: { ip: ipv4?.address ?? '', additionalIps: ipv6 ? [{ ip: ipv6.address }] : [] },
    linux: { namespaces: { options: record.config.linux?.securityContext?.namespaceOptions ?? {} } },
    labels: record.config.labels ?? {},
    annotations: { ...asked, ...(waits ? { [waitsForRoom]: context.paths.scratches() } : {}) },
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
  return { status: podSandboxStatusOf(context, sandbox), containersStatuses, timestamp: context.nowNanos(), info };
}

/** What CRI has no field for: the machine, why a sandbox is not ready, and by containerd's names what scripts read in `crictl inspectp`. */
async function verboseInfo(sandbox: Sandbox): Promise<object> {
  const { record, machine } = sandbox;
  const pid = (record.state === 'ready' && machine?.pid) || 0;
  const stats = record.state === 'ready' ? await machine?.stats().catch(() => undefined) : undefined;
  return {
    pid,
    runtimeHandler: record.runtimeHandler,
    config: criJson(record.config),
    runtimeSpec: {
      hostname: sandbox.hostname,
      annotations: record.config.annotations ?? {},
      linux: { namespaces: pid && handlerOf(record.runtimeHandler) === 'namespace' ? await namespacesOf(pid) : [] },
    },
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

const kindOf: Record<string, string> = { net: 'network', ipc: 'ipc', uts: 'uts', pid: 'pid' };

/** Of a machine on the host, which others may enter; what a VM is in is the host's and empty. */
async function namespacesOf(pid: number): Promise<object[]> {
  const differs = async (file: string) => {
    const [theirs, ours] = await Promise.all([pid, 'self'].map((each) => readlink(`/proc/${each}/ns/${file}`)));
    return theirs !== ours;
  };
  const listed = await Promise.all(
    Object.entries(kindOf).map(async ([file, type]) =>
      (await differs(file).catch(() => false)) ? [{ type, path: `/proc/${pid}/ns/${file}` }] : [],
    ),
  );
  return listed.flat();
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
      const { id, metadata, state, createdAt, labels, annotations, runtimeHandler } = podSandboxStatusOf(
        context,
        sandbox,
      );
      return { id, metadata, state, createdAt, labels, annotations, runtimeHandler };
    });
  return { items };
}
