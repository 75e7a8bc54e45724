/** A Pod's conditions, with kubelet's reasons and sentences. */
import type { ContainerStatus, Pod, PodCondition } from 'kubernetes-types/core/v1.js';
import { initContainers, isSidecar, specOf } from '../decide/model.ts';
import type { Phase } from './phase.ts';

export interface ConditionInput {
  pod: Pod;
  phase: Phase;
  init: ContainerStatus[];
  main: ContainerStatus[];
  /** A sandbox stands and has an address. */
  sandboxReady: boolean;
  nowTime: string;
}

type Draft = Pick<PodCondition, 'type' | 'status' | 'reason' | 'message'>;

/** Conditions the node sets; all others are somebody else's and stay as they are. */
export function conditionsOf(input: ConditionInput, extra: Draft[] = []): PodCondition[] {
  const containersReady = containersReadyCondition(input);
  const drafts: Draft[] = [
    { type: 'PodReadyToStartContainers', status: input.sandboxReady ? 'True' : 'False' },
    initializedCondition(input),
    readyCondition(input, containersReady),
    containersReady,
    { type: 'PodScheduled', status: 'True' },
    ...extra,
  ];
  return drafts.map((draft) => stamp(draft, input));
}

/** Keeps the time of the last change of status, as the API asks. */
function stamp(draft: Draft, { pod, nowTime }: ConditionInput): PodCondition {
  const before = pod.status?.conditions?.find((condition) => condition.type === draft.type);
  const unchanged = before?.status === draft.status && before.lastTransitionTime;
  return { ...draft, lastTransitionTime: unchanged ? before.lastTransitionTime : nowTime } as PodCondition;
}

function containersReadyCondition({ pod, phase, init, main }: ConditionInput): Draft {
  const type = 'ContainersReady';
  const names = [
    ...initContainers(pod)
      .filter(isSidecar)
      .map((container) => container.name),
    ...specOf(pod).containers.map((container) => container.name),
  ];
  const { unknown, not } = sort(names, [...init, ...main]);
  if (phase === 'Succeeded' && unknown.length === 0) return { type, status: 'False', reason: 'PodCompleted' };
  if (phase === 'Failed' && unknown.length === 0) return { type, status: 'False', reason: 'PodFailed' };
  if (unknown.length + not.length === 0) return { type, status: 'True' };
  return { type, status: 'False', reason: 'ContainersNotReady', message: sentence(unknown, not, 'unready') };
}

function readyCondition({ pod }: ConditionInput, containersReady: Draft): Draft {
  const type = 'Ready';
  if (containersReady.status !== 'True') return { ...containersReady, type };
  const faults: string[] = [];
  for (const { conditionType } of specOf(pod).readinessGates ?? []) {
    const condition = pod.status?.conditions?.find((one) => one.type === conditionType);
    if (!condition) faults.push(`corresponding condition of pod readiness gate "${conditionType}" does not exist.`);
    else if (condition.status !== 'True')
      faults.push(`the status of pod readiness gate "${conditionType}" is not "True", but ${condition.status}`);
  }
  if (faults.length === 0) return { type, status: 'True' };
  return { type, status: 'False', reason: 'ReadinessGatesNotReady', message: faults.join(', ') };
}

function initializedCondition({ pod, phase, init, main }: ConditionInput): Draft {
  const type = 'Initialized';
  const { unknown, not } = sort(
    initContainers(pod).map((container) => container.name),
    init.map((status) => ({ name: status.name, ready: isInitialized(pod, status) })),
  );
  if (phase === 'Succeeded' && unknown.length === 0) return { type, status: 'True', reason: 'PodCompleted' };
  const anyRan = main.some((status) => status.started || status.state?.running || status.state?.terminated);
  if (anyRan || unknown.length + not.length === 0) return { type, status: 'True' };
  return { type, status: 'False', reason: 'ContainersNotInitialized', message: sentence(unknown, not, 'incomplete') };
}

function isInitialized(pod: Pod, status: ContainerStatus): boolean {
  const container = initContainers(pod).find((one) => one.name === status.name);
  return container && isSidecar(container) ? status.started === true : status.ready;
}

function sort(names: string[], statuses: { name: string; ready: boolean }[]): { unknown: string[]; not: string[] } {
  const found = (name: string) => statuses.find((status) => status.name === name);
  return { unknown: names.filter((name) => !found(name)), not: names.filter((name) => found(name)?.ready === false) };
}

function sentence(unknown: string[], not: string[], adjective: string): string {
  const parts: string[] = [];
  if (unknown.length > 0) parts.push(`containers with unknown status: [${unknown.join(' ')}]`);
  if (not.length > 0) parts.push(`containers with ${adjective} status: [${not.join(' ')}]`);
  return parts.join(', ');
}
