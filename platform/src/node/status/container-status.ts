/** The status of one container, from its runs: kubelet's convertToAPIContainerStatuses. */
import type { Container, ContainerState, ContainerStatus, EphemeralContainer } from 'kubernetes-types/core/v1.js';
import { toTime } from '../../base/clock.ts';
import {
  type ContainerKind,
  type ContainerRecord,
  initContainers,
  isSidecar,
  type PodView,
  runsOf,
  startKey,
  type Waiting,
} from '../decide/model.ts';

/** How a container id is written in a status: the runtime's name before it. */
export const containerIdOf = (record: ContainerRecord): string => `sampan://${record.id}`;

export function containerStatus(
  view: PodView,
  waiting: ReadonlyMap<string, Waiting>,
  { container, kind }: { container: Container | EphemeralContainer; kind: ContainerKind },
): ContainerStatus {
  const [record, before] = runsOf(view.containers, container.name);
  const status: ContainerStatus = {
    name: container.name,
    image: record?.image || container.image || '',
    imageID: record?.imageRef ?? '',
    ready: false,
    started: false,
    // A run counts once it is under way: whoever waits for the count looks at the state next.
    restartCount: (record && !isUnderWay(view, record) ? before : record)?.attempt ?? record?.attempt ?? 0,
    state: {},
    lastState: before?.state === 'exited' ? terminated(before) : {},
  };
  if (record && record.id !== '') status.containerID = containerIdOf(record);
  status.state = stateOf(view, record);
  const why = waiting.get(container.name);
  if (why && record?.state !== 'running') {
    if (status.state.terminated) status.lastState = status.state;
    status.state = { waiting: whyOf(why) };
  }
  if (record && status.state.running) Object.assign(status, readiness(view, container as Container, { record, kind }));
  if (kind === 'init' && !isSidecar(container as Container)) status.ready = status.state.terminated?.exitCode === 0;
  // ContainerStatus.user (Kubernetes 1.31) is younger than the types.
  const user = record?.user ? { user: { linux: record.user } } : {};
  return { ...status, ...user, ...resourcesOf(container) };
}

function stateOf(view: PodView, record: ContainerRecord | undefined): ContainerState {
  if (record?.state === 'exited') return terminated(record);
  // Until postStart is through a container is not said to run.
  if (record?.state === 'running' && isUnderWay(view, record))
    return { running: { startedAt: toTime(record.startedAtMs) } };
  const reason = initContainers(view.pod).length > 0 ? 'PodInitializing' : 'ContainerCreating';
  return { waiting: { reason } };
}

/** False for a run that is being started. */
const isUnderWay = (view: PodView, { state, name }: ContainerRecord): boolean =>
  state === 'exited' || (state === 'running' && !view.busy.has(startKey(name)));

export function terminated(record: ContainerRecord): ContainerState {
  const reason = record.reason || (record.exitCode === 0 ? 'Completed' : 'Error');
  return {
    terminated: {
      exitCode: record.exitCode,
      reason,
      ...(record.message ? { message: record.message } : {}),
      ...(record.startedAtMs > 0 ? { startedAt: toTime(record.startedAtMs) } : {}),
      ...(record.finishedAtMs > 0 ? { finishedAt: toTime(record.finishedAtMs) } : {}),
      ...(record.id ? { containerID: containerIdOf(record) } : {}),
    },
  };
}

const whyOf = ({ reason, message }: Waiting) => ({ reason, ...(message ? { message } : {}) });

function readiness(
  view: PodView,
  container: Container,
  { record, kind }: { record: ContainerRecord; kind: ContainerKind },
): { started: boolean; ready: boolean } {
  const probes = view.probes.get(record.id);
  const started = !container.startupProbe || probes?.startup === 'success';
  if (kind === 'ephemeral') return { started: true, ready: false };
  return { started, ready: started && (!container.readinessProbe || probes?.readiness === 'success') };
}

function resourcesOf(container: Container | EphemeralContainer): Partial<ContainerStatus> {
  const { requests, limits } = container.resources ?? {};
  if (!requests && !limits) return {};
  return {
    ...(requests ? { allocatedResources: requests } : {}),
    resources: { ...(limits ? { limits } : {}), ...(requests ? { requests } : {}) },
  };
}
