/** A Pod's phase, from its containers' statuses: kubelet's getPhase. */
import type { ContainerStatus, Pod } from 'kubernetes-types/core/v1.js';
import { initContainers, isSidecar, restartPolicyOf, specOf } from '../decide/model.ts';

export type Phase = 'Pending' | 'Running' | 'Succeeded' | 'Failed';

interface Statuses {
  init: ContainerStatus[];
  main: ContainerStatus[];
}

interface Counts {
  unknown: number;
  running: number;
  waiting: number;
  stopped: number;
  succeeded: number;
}

/** `over`: nothing of the Pod will be started again, whatever its policy says. */
export function phaseOf(pod: Pod, statuses: Statuses, over: boolean): Phase {
  const init = countInit(pod, statuses.init);
  const counts = count(pod, statuses);
  const policy = restartPolicyOf(pod);
  if (init.failed > 0 && policy === 'Never') return 'Failed';
  if (over)
    return counts.stopped > 0 && counts.stopped === counts.succeeded && counts.waiting === 0 ? 'Succeeded' : 'Failed';
  if (init.pending > 0 || counts.waiting > 0) return 'Pending';
  if (counts.unknown > 0) return 'Pending';
  if (counts.running > 0) return 'Running';
  if (counts.stopped === 0) return 'Pending';
  if (policy === 'Always') return 'Running';
  if (counts.stopped === counts.succeeded) return 'Succeeded';
  return policy === 'Never' ? 'Failed' : 'Running';
}

function countInit(pod: Pod, statuses: ContainerStatus[]): { pending: number; failed: number } {
  const counts = { pending: 0, failed: 0 };
  for (const container of initContainers(pod)) {
    if (isSidecar(container)) continue;
    const status = statuses.find((one) => one.name === container.name);
    const ended = status?.state?.terminated ?? (status?.state?.waiting ? status.lastState?.terminated : undefined);
    if (!ended) counts.pending++;
    else if (ended.exitCode !== 0) counts.failed++;
  }
  return counts;
}

function count(pod: Pod, statuses: Statuses): Counts {
  const counts: Counts = { unknown: 0, running: 0, waiting: 0, stopped: 0, succeeded: 0 };
  for (const container of initContainers(pod).filter(isSidecar)) {
    const status = statuses.init.find((one) => one.name === container.name);
    if (!status) counts.unknown++;
    else if (status.state?.running) counts.running++;
    else if (status.state?.waiting && !status.lastState?.terminated) counts.waiting++;
  }
  for (const container of specOf(pod).containers) {
    const status = statuses.main.find((one) => one.name === container.name);
    if (status?.state?.running) counts.running++;
    else if (status?.state?.terminated) {
      counts.stopped++;
      if (status.state.terminated.exitCode === 0) counts.succeeded++;
    } else if (status?.state?.waiting) {
      if (status.lastState?.terminated) counts.stopped++;
      else counts.waiting++;
    } else counts.unknown++;
  }
  return counts;
}
