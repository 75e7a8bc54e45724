/** A Pod's line in a table: what kubectl get shows (pkg/printers/internalversion). */
import type { ContainerStateTerminated, ContainerStatus, Pod } from 'kubernetes-types/core/v1.js';
import { humanDuration, parseTime } from '../../time.ts';
import { ageCell, ageColumn, column, nameCell, nameColumn } from '../columns.ts';
import { isSidecar } from './pod-types.ts';

export const podColumns = [
  nameColumn,
  column('Ready', 'Containers that are ready, of how many.'),
  column('Status', 'What the Pod is doing, or why it is not.'),
  column('Restarts', 'How often its containers were restarted, and how long ago the last time was.'),
  ageColumn,
  column('IP', 'Address of the Pod.', { wide: true }),
  column('Node', 'Node the Pod runs on.', { wide: true }),
  column('Nominated Node', 'Node that is being cleared for the Pod.', { wide: true }),
  column('Readiness Gates', 'Readiness gates that are true, of how many.', { wide: true }),
];

export function podRow(pod: Pod, nowMs: number): string[] {
  const summary = summarize(pod);
  const { restarts, lastRestartMs } = summary;
  const ago = restarts > 0 && lastRestartMs > 0 ? ` (${humanDuration(nowMs - lastRestartMs)} ago)` : '';
  return [
    nameCell(pod),
    `${summary.ready}/${summary.total}`,
    podStatusWord(pod),
    `${restarts}${ago}`,
    ageCell(pod, nowMs),
    pod.status?.podIPs?.[0]?.ip || pod.status?.podIP || '<none>',
    pod.spec?.nodeName || '<none>',
    pod.status?.nominatedNodeName || '<none>',
    readinessGates(pod),
  ];
}

/** The STATUS cell alone. */
function podStatusWord(pod: Pod): string {
  const { phase = '', reason } = pod.status ?? {};
  if (pod.metadata?.deletionTimestamp) {
    if (reason === 'NodeLost') return 'Unknown';
    if (phase !== 'Succeeded' && phase !== 'Failed') return 'Terminating';
  }
  return summarize(pod).reason;
}

interface Summary {
  ready: number;
  total: number;
  restarts: number;
  /** 0: none, or not known. */
  lastRestartMs: number;
  reason: string;
}

function summarize(pod: Pod): Summary {
  const inits = initSummary(pod);
  const sidecars = (pod.spec?.initContainers ?? []).filter(isSidecar).map((container) => container.name);
  const statuses = pod.status?.containerStatuses ?? [];
  const total = (pod.spec?.containers.length ?? 0) + sidecars.length;
  const initialized = pod.status?.conditions?.some((one) => one.type === 'Initialized' && one.status === 'True');
  const before = inits.reason ?? baseReason(pod);
  const initStatuses = pod.status?.initContainerStatuses ?? [];
  if (inits.reason !== undefined && !initialized) {
    // Restarts are those of the init containers looked at: the ones up to where initialization stands.
    return { ready: inits.ready, total, reason: before, ...restartsOf(initStatuses.slice(0, inits.seen)) };
  }
  const counted = initStatuses.slice(0, inits.seen).filter((status) => sidecars.includes(status.name));
  const running = statuses.filter((status) => isRunning(status) && status.ready);
  let reason = before;
  for (const status of statuses.toReversed()) reason = reasonOf(status) ?? reason;
  if (reason === 'Completed' && running.length > 0) {
    const ready = pod.status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True');
    reason = ready ? 'Running' : 'NotReady';
  }
  return { ready: inits.ready + running.length, total, reason, ...restartsOf([...counted, ...statuses]) };
}

function baseReason(pod: Pod): string {
  const gated = pod.status?.conditions?.some((one) => one.type === 'PodScheduled' && one.reason === 'SchedulingGated');
  return gated ? 'SchedulingGated' : pod.status?.reason || pod.status?.phase || '';
}

/** `reason` is undefined when every init container is done; `seen` counts those looked at, the one in the way included. */
function initSummary(pod: Pod): { reason?: string; ready: number; seen: number } {
  const specs = pod.spec?.initContainers ?? [];
  let ready = 0;
  for (const [i, status] of (pod.status?.initContainerStatuses ?? []).entries()) {
    const spec = specs.find((container) => container.name === status.name);
    const { terminated, waiting } = status.state ?? {};
    if (terminated?.exitCode === 0) continue;
    if (spec && isSidecar(spec) && status.started) {
      if (status.ready) ready += 1;
      continue;
    }
    const seen = i + 1;
    if (terminated) return { reason: `Init:${terminatedReason(terminated)}`, ready, seen };
    if (waiting?.reason && waiting.reason !== 'PodInitializing')
      return { reason: `Init:${waiting.reason}`, ready, seen };
    return { reason: `Init:${i}/${specs.length}`, ready, seen };
  }
  return { ready, seen: pod.status?.initContainerStatuses?.length ?? 0 };
}

function isRunning(status: ContainerStatus): boolean {
  return !status.state?.waiting?.reason && !status.state?.terminated && status.state?.running !== undefined;
}

function reasonOf({ state }: ContainerStatus): string | undefined {
  if (state?.waiting?.reason) return state.waiting.reason;
  return state?.terminated ? terminatedReason(state.terminated) : undefined;
}

function terminatedReason({ reason, signal, exitCode }: ContainerStateTerminated): string {
  return reason || (signal ? `Signal:${signal}` : `ExitCode:${exitCode}`);
}

function restartsOf(statuses: ContainerStatus[]): { restarts: number; lastRestartMs: number } {
  const ends = statuses.map((status) => parseTime(status.lastState?.terminated?.finishedAt) ?? 0);
  const restarts = statuses.reduce((total, status) => total + (status.restartCount ?? 0), 0);
  return { restarts, lastRestartMs: Math.max(0, ...ends) };
}

function readinessGates(pod: Pod): string {
  const gates = pod.spec?.readinessGates ?? [];
  if (gates.length === 0) return '<none>';
  const isTrue = (type: string) => pod.status?.conditions?.find((one) => one.type === type)?.status === 'True';
  return `${gates.filter((gate) => isTrue(gate.conditionType)).length}/${gates.length}`;
}
