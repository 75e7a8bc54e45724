/**
 * Whether a node would keep Pods spread as a Pod's constraints demand (DoNotSchedule), and how well it would do what they only wish
 * (ScheduleAnyway): pure, after kube-scheduler's PodTopologySpread plugin.
 */
import type { TopologySpreadConstraint } from 'kubernetes-types/core/v1.js';
import { labelOf, matchesSelectors, type NodeObject, type PodObject, untoleratedTaint } from './node-selection.ts';
import { likenessTo } from './pod-likeness.ts';

const refused = "node(s) didn't match pod topology spread constraints";

interface Spread {
  constraint: TopologySpreadConstraint;
  /** Matching Pods at each value of the topology key. */
  counts: Map<string, number>;
  /** Of the emptiest value; 0 while there are fewer values than minDomains. */
  least: number;
  /** 1 when the Pod itself would count. */
  self: number;
}

/** Decided once for all nodes. */
export class PodSpread {
  readonly #demanded: Spread[];
  readonly #wished: Spread[];

  constructor(pod: PodObject, around: { nodes: NodeObject[]; bound: PodObject[] }) {
    const spreadsOf = (whenUnsatisfiable: string) => {
      const all = pod.spec?.topologySpreadConstraints ?? [];
      const meant = all.filter((one) => one.whenUnsatisfiable === whenUnsatisfiable);
      const nodes = around.nodes.filter((node) => meant.every((one) => labelOf(node, one.topologyKey) !== undefined));
      return meant.map((constraint) => {
        const counted = nodes.filter((node) => isCountedNode(constraint, pod, node));
        return spreadOf(constraint, pod, { nodes: counted, bound: around.bound });
      });
    };
    this.#demanded = spreadsOf('DoNotSchedule');
    this.#wished = spreadsOf('ScheduleAnyway');
  }

  refusal(node: NodeObject): string | undefined {
    for (const { constraint, counts: found, least, self } of this.#demanded) {
      const value = labelOf(node, constraint.topologyKey);
      if (value === undefined) return `${refused} (missing required label)`;
      if ((found.get(value) ?? 0) + self - least > constraint.maxSkew) return refused;
    }
    return undefined;
  }

  /** Of the Pods that it wishes to be apart from, how many are where the node is; without bound where it is in none of the places. */
  crowd(node: NodeObject): number {
    const counts = this.#wished.map(({ constraint, counts: found }) => {
      const value = labelOf(node, constraint.topologyKey);
      return value === undefined ? Number.POSITIVE_INFINITY : (found.get(value) ?? 0);
    });
    return counts.reduce((sum, count) => sum + count, 0);
  }
}

/** Whether a node's Pods are counted: by default those of nodes that the Pod may select, tainted or not. */
function isCountedNode(constraint: TopologySpreadConstraint, pod: PodObject, node: NodeObject): boolean {
  const { nodeAffinityPolicy = 'Honor', nodeTaintsPolicy = 'Ignore' } = constraint;
  if (nodeAffinityPolicy === 'Honor' && !matchesSelectors(pod, node)) return false;
  return nodeTaintsPolicy !== 'Honor' || untoleratedTaint(pod, node) === undefined;
}

function spreadOf(
  constraint: TopologySpreadConstraint,
  pod: PodObject,
  { nodes, bound }: { nodes: NodeObject[]; bound: PodObject[] },
): Spread {
  const isLike = likenessTo(pod, constraint);
  const isCounted = ({ metadata }: PodObject) =>
    metadata?.namespace === pod.metadata?.namespace && !metadata?.deletionTimestamp;
  const domainOf = new Map(nodes.map((node) => [node.metadata?.name, labelOf(node, constraint.topologyKey)!]));
  const found = new Map([...domainOf.values()].map((value) => [value, 0]));
  for (const other of bound) {
    const value = domainOf.get(other.spec?.nodeName);
    if (value !== undefined && isCounted(other) && isLike(other)) found.set(value, found.get(value)! + 1);
  }
  const isEnough = found.size >= (constraint.minDomains ?? 1);
  const least = isEnough && found.size > 0 ? Math.min(...found.values()) : 0;
  return { constraint, counts: found, least, self: isLike(pod) ? 1 : 0 };
}
