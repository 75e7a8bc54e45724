/** ContainerStatus, ListContainers. */
import type { GuestUser } from '../agent/agent.ts';
import type { Context } from '../context.ts';
import * as cri from '../generated/cri.ts';
import { hasLabels } from '../has-labels.ts';
import type { Container } from './container.ts';
import { containerInfo } from './container-info.ts';

const states = {
  creating: cri.ContainerState.CONTAINER_UNKNOWN,
  created: cri.ContainerState.CONTAINER_CREATED,
  running: cri.ContainerState.CONTAINER_RUNNING,
  exited: cri.ContainerState.CONTAINER_EXITED,
};

export function containerStatusOf(container: Container): cri.ContainerStatus {
  const { record } = container;
  const { config, exit } = record;
  return {
    id: record.id,
    metadata: config.metadata,
    state: states[record.state],
    createdAt: record.createdAtNanos,
    startedAt: record.startedAtNanos,
    finishedAt: exit?.finishedAtNanos ?? 0n,
    exitCode: exit?.exitCode ?? 0,
    image: config.image,
    imageRef: record.imageRef,
    imageId: record.imageId,
    reason: exit?.reason ?? '',
    message: exit?.message ?? '',
    labels: config.labels ?? {},
    annotations: config.annotations ?? {},
    mounts: config.mounts ?? [],
    logPath: record.logPath,
    resources: { linux: config.linux?.resources },
    stopSignal: config.stopSignal,
    ...(record.user ? { user: userOf(record.user) } : {}),
  };
}

const userOf = ({ uid, gid, groups }: GuestUser): cri.ContainerUser => ({
  linux: { uid: BigInt(uid), gid: BigInt(gid), supplementalGroups: groups.map(BigInt) },
});

export async function containerStatus(
  context: Context,
  request: cri.ContainerStatusRequest,
): Promise<cri.ContainerStatusResponse> {
  const container = context.container(request.containerId);
  const info: Record<string, string> = request.verbose
    ? { info: JSON.stringify(await containerInfo(context, container)) }
    : {};
  return { status: containerStatusOf(container), info };
}

export function listContainers(context: Context, request: cri.ListContainersRequest): cri.ListContainersResponse {
  const { filter } = request;
  const containers = [...context.containers.values()]
    .filter((container) => !filter?.id || container.id.startsWith(filter.id))
    .filter((container) => !filter?.podSandboxId || container.record.sandboxId.startsWith(filter.podSandboxId))
    .filter((container) => filter?.state?.state === undefined || states[container.record.state] === filter.state.state)
    .filter((container) => hasLabels(container.record.config.labels, filter?.labelSelector))
    .map((container): cri.Container => {
      const { id, metadata, state, createdAt, image, imageRef, imageId, labels, annotations } =
        containerStatusOf(container);
      const podSandboxId = container.record.sandboxId;
      return { id, podSandboxId, metadata, image, imageRef, imageId, state, createdAt, labels, annotations };
    });
  return { containers };
}
