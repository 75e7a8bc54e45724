/** The status of a Pod, from what is: kubelet's generateAPIPodStatus as a pure function. */
import type { ContainerStatus, PodCondition, PodStatus } from 'kubernetes-types/core/v1.js';
import { toTime } from '../../base/clock.ts';
import {
  type Ending,
  ephemeralContainers,
  initContainers,
  isSidecar,
  isTerminalPhase,
  type PodView,
  specOf,
  type Waiting,
} from '../decide/model.ts';
import { conditionsOf } from './conditions.ts';
import { containerStatus } from './container-status.ts';
import { type Phase, phaseOf } from './phase.ts';

export interface StatusInput {
  view: PodView;
  /** Why containers wait, by name: from the decision, and from starts that failed. */
  waiting: ReadonlyMap<string, Waiting>;
  ending?: Ending;
  hostIPs: string[];
  /** Conditions of ours beyond Kubernetes' own. */
  extraConditions?: Pick<PodCondition, 'type' | 'status' | 'reason' | 'message'>[];
}

export function computeStatus(input: StatusInput): PodStatus {
  const { view, ending, hostIPs } = input;
  const { pod } = view;
  const stopped = ending !== undefined && isStopped(view);
  const of = (kind: 'init' | 'main' | 'ephemeral') => (container: Parameters<typeof containerStatus>[2]['container']) =>
    containerStatus(view, input.waiting, { container, kind });
  let init = initContainers(pod).map(of('init'));
  let main = specOf(pod).containers.map(of('main'));
  if (stopped) [init, main] = settle(input, init, main);
  const phase = decidePhase(input, { init, main }, stopped);
  const sandbox = view.sandboxes[0];
  const ips = sandbox?.ips ?? [];
  // A Pod that has ended is still known by the address it had.
  const shownIps = ips.length > 0 ? ips : (pod.status?.podIPs ?? []).map(({ ip }) => ip ?? '');
  const status: PodStatus = {
    phase,
    conditions: conditionsOf(
      { pod, phase, init, main, sandboxReady: sandbox?.ready === true && ips.length > 0, nowTime: toTime(view.nowMs) },
      input.extraConditions,
    ),
    hostIP: hostIPs[0],
    hostIPs: hostIPs.map((ip) => ({ ip })),
    startTime: pod.status?.startTime ?? toTime(view.nowMs),
    containerStatuses: main,
    qosClass: pod.status?.qosClass,
    ...(ending?.reason ? { reason: ending.reason } : {}),
    ...(ending?.message ? { message: ending.message } : {}),
  };
  if (shownIps.length > 0) Object.assign(status, { podIP: shownIps[0], podIPs: shownIps.map((ip) => ({ ip })) });
  if (init.length > 0) status.initContainerStatuses = init;
  const ephemeral = ephemeralContainers(pod).map(of('ephemeral'));
  if (ephemeral.length > 0) status.ephemeralContainerStatuses = ephemeral;
  return status;
}

/** No container runs, is being started or stands in a machine that does: what the status says now is the last word. */
export function isStopped(view: PodView): boolean {
  return (
    view.containers.every((record) => record.state !== 'running') &&
    view.sandboxes.every((sandbox) => !sandbox.ready) &&
    [...view.busy].every((key) => !key.startsWith('start:') && key !== 'sandbox')
  );
}

function decidePhase(
  input: StatusInput,
  statuses: { init: ContainerStatus[]; main: ContainerStatus[] },
  stopped: boolean,
): Phase {
  const { pod } = input.view;
  const before = pod.status?.phase;
  // A terminal phase is never taken back.
  if (isTerminalPhase(before)) return before as Phase;
  const { cause } = input.ending ?? {};
  if (cause === 'evicted' || cause === 'deadline') return 'Failed';
  return phaseOf(pod, statuses, stopped);
}

/**
 * Of a Pod that is over no container may be left without an end. One that the runtime cannot tell of is an error: whether it did its
 * work is not known. Containers of a Pod that never was initialised were never due, and stay waiting.
 */
function settle(
  input: StatusInput,
  init: ContainerStatus[],
  main: ContainerStatus[],
): [ContainerStatus[], ContainerStatus[]] {
  const { pod } = input.view;
  const ran = (status: ContainerStatus) =>
    status.state?.terminated !== undefined || status.lastState?.terminated !== undefined;
  const initialized = initContainers(pod).every((container, index) => isSidecar(container) || init[index]?.ready);
  const began = main.some(ran) || (initialized && init.some(ran));
  return [init.map((status) => (ran(status) ? conclude(status) : status)), began ? main.map(conclude) : main];
}

function conclude(status: ContainerStatus): ContainerStatus {
  if (status.state?.terminated) return status;
  const last = status.lastState?.terminated;
  const state = last ?? {
    exitCode: 137,
    reason: 'ContainerStatusUnknown',
    message: 'The container could not be located when the pod was terminated',
  };
  return { ...status, state: { terminated: state }, lastState: {}, ready: false, started: false };
}
