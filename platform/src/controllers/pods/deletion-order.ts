/**
 * Which Pods a ReplicaSet gives up first: those that do least. Pure; the rules are kube-controller-manager's ActivePodsWithRanks and
 * KEPs 2255 (deletion cost) and 2185 (logarithmic ages).
 */
import { hasEnded, isReady, type PodObject, readySinceMs } from './pod-facts.ts';

const costAnnotation = 'controller.kubernetes.io/pod-deletion-cost';
const phaseRank: Record<string, number> = { Pending: 0, Unknown: 1, Running: 2 };

interface OrderOptions {
  /** Pods of the same workload, over all its ReplicaSets: where there are many on a node, one is missed least. */
  related: PodObject[];
  nowMs: number;
}

/** First come those to delete first. */
export function inDeletionOrder(pods: PodObject[], { related, nowMs }: OrderOptions): PodObject[] {
  const perNode = new Map<string, number>();
  for (const pod of related) {
    const node = pod.spec?.nodeName;
    if (node && !hasEnded(pod)) perNode.set(node, (perNode.get(node) ?? 0) + 1);
  }
  const ranks = new Map(pods.map((pod) => [pod, rankOf(pod, perNode, nowMs)]));
  return [...pods].sort((a, b) => compare(ranks.get(a)!, ranks.get(b)!) || byUid(a, b));
}

/** Smaller goes first, the first difference decides. */
function rankOf(pod: PodObject, perNode: Map<string, number>, nowMs: number): number[] {
  const node = pod.spec?.nodeName ?? '';
  const readySince = readySinceMs(pod);
  const restarts = (pod.status?.containerStatuses ?? []).map((status) => status.restartCount);
  return [
    node ? 1 : 0,
    phaseRank[pod.status?.phase ?? ''] ?? 0,
    isReady(pod) ? 1 : 0,
    deletionCost(pod),
    -(perNode.get(node) ?? 0),
    readySince === undefined ? 0 : ageClass(readySince, nowMs),
    -Math.max(0, ...restarts),
    ageClass(Date.parse(String(pod.metadata?.creationTimestamp)) || 0, nowMs),
  ];
}

/** Ages that differ by less than a factor of two are alike, so that it is not always the youngest that goes. */
function ageClass(sinceMs: number, nowMs: number): number {
  return nowMs - sinceMs <= 0 ? -1 : Math.floor(Math.log2(nowMs - sinceMs));
}

function deletionCost(pod: PodObject): number {
  const text = pod.metadata?.annotations?.[costAnnotation] ?? '0';
  return /^(0|-?[1-9]\d{0,9})$/.test(text) ? Number(text) : 0;
}

function compare(a: number[], b: number[]): number {
  for (const [i, rank] of a.entries()) if (rank !== b[i]) return rank - b[i]!;
  return 0;
}

function byUid(a: PodObject, b: PodObject): number {
  return (a.metadata?.uid ?? '') < (b.metadata?.uid ?? '') ? -1 : 1;
}
