/**
 * What a node's silence and its conditions mean for it and for its Pods. Pure, after kube-controller-manager's node lifecycle and
 * taint eviction controllers.
 *
 *   Ready        no taint
 *   Ready False  node.kubernetes.io/not-ready     NoSchedule, and NoExecute while another node is well
 *   silent       node.kubernetes.io/unreachable   the same; its conditions turn Unknown
 */
import { equalJson } from '@sampan/api/json.ts';
import type { Node, NodeCondition, Taint } from 'kubernetes-types/core/v1.js';
import { toTime } from '../../base/clock.ts';
import { type NodeObject, type PodObject, tolerates } from '../node-selection.ts';

/** kube-controller-manager's --node-monitor-grace-period: five renewals of the lease. */
export const graceMs = 50_000;

const notReady = 'node.kubernetes.io/not-ready';
const unreachable = 'node.kubernetes.io/unreachable';

/** What the node itself says; taints by it keep new Pods away and leave those that run. */
const pressureTaints: Record<string, string> = {
  MemoryPressure: 'node.kubernetes.io/memory-pressure',
  DiskPressure: 'node.kubernetes.io/disk-pressure',
  PIDPressure: 'node.kubernetes.io/pid-pressure',
  NetworkUnavailable: 'node.kubernetes.io/network-unavailable',
};

const ours = new Set([notReady, unreachable, ...Object.values(pressureTaints)]);
const reported = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'];

export function readyStatus(node: Node): string {
  return node.status?.conditions?.find(({ type }) => type === 'Ready')?.status ?? 'Unknown';
}

/** The conditions of a node that has not been heard of; undefined when they say so already. */
export function lostConditions(node: Node, nowMs: number): NodeCondition[] | undefined {
  const at = toTime(nowMs);
  const before = node.status?.conditions ?? [];
  const next = before.map((condition) =>
    reported.includes(condition.type) && condition.status !== 'Unknown' ? lost(condition, at) : condition,
  );
  if (!before.some(({ type }) => type === 'Ready')) next.push(lost({ type: 'Ready', status: 'Unknown' }, at));
  return equalJson(next, before) ? undefined : next;
}

function lost(condition: NodeCondition, at: string): NodeCondition {
  const [reason, message] = ['NodeStatusUnknown', 'Kubelet stopped posting node status.'];
  return { ...condition, status: 'Unknown', reason, message, lastTransitionTime: at };
}

/** The node's taints as its conditions call for; undefined when they are so already. Taints of others stay. */
export function wantedTaints(
  node: NodeObject,
  options: { othersAreWell: boolean; nowMs: number },
): Taint[] | undefined {
  const before = node.spec?.taints ?? [];
  const wanted: Taint[] = [];
  const ready = readyStatus(node);
  if (ready !== 'True') {
    const key = ready === 'Unknown' ? unreachable : notReady;
    wanted.push({ key, effect: 'NoSchedule' });
    // Where no node is well, nowhere would be better: then it is likelier that we are wrong.
    if (options.othersAreWell) wanted.push({ key, effect: 'NoExecute' });
  }
  for (const { type, status } of node.status?.conditions ?? []) {
    const key = pressureTaints[type];
    if (key && status === 'True') wanted.push({ key, effect: 'NoSchedule' });
  }
  const same = (a: Taint, b: Taint) => a.key === b.key && a.effect === b.effect;
  const kept = before.filter((taint) => !ours.has(taint.key) || wanted.some((one) => same(one, taint)));
  const added = wanted.filter((taint) => !before.some((one) => same(one, taint)));
  if (added.length === 0 && kept.length === before.length) return undefined;
  return [...kept, ...added.map((taint) => ({ ...taint, timeAdded: toTime(options.nowMs) }))];
}

/**
 * When a Pod has to leave a node: at once for a taint it does not tolerate, else when the shortest of its times of patience is over;
 * undefined: it may stay. Patience begins no earlier than `sinceMs`, the time from which we know the node.
 */
export function leavesAtMs(pod: PodObject, node: NodeObject, sinceMs: number): number | undefined {
  const times: number[] = [];
  for (const taint of node.spec?.taints ?? []) {
    if (taint.effect !== 'NoExecute') continue;
    const matching = (pod.spec?.tolerations ?? []).filter((toleration) => tolerates(toleration, taint));
    const startMs = Math.max(sinceMs, Date.parse(String(taint.timeAdded)) || 0);
    if (matching.length === 0) times.push(startMs);
    const patience = matching
      .map(({ tolerationSeconds }) => tolerationSeconds)
      .filter((seconds) => seconds !== undefined);
    if (patience.length > 0) times.push(startMs + Math.max(0, Math.min(...patience)) * 1000);
  }
  return times.length > 0 ? Math.min(...times) : undefined;
}
