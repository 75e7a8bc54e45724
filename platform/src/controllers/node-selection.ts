/** Whether a Pod's nodeSelector, required node affinity and tolerations allow a node: pure, after kube-scheduler's NodeAffinity and TaintToleration plugins. */
import type { KubeObject } from '@sampan/api/client.ts';
import { type LabelOperator, matchesRequirement } from '@sampan/api/selectors/label-selector.ts';
import type {
  Node,
  NodeSelectorRequirement,
  NodeSelectorTerm,
  Pod,
  Taint,
  Toleration,
} from 'kubernetes-types/core/v1.js';

export type NodeObject = Node & KubeObject;
export type PodObject = Pod & KubeObject;

export const labelOf = (node: NodeObject, key: string): string | undefined => node.metadata?.labels?.[key];

/** nodeSelector and nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution; terms are ORed, requirements ANDed. */
export function matchesSelectors(pod: PodObject, node: NodeObject): boolean {
  const labels = node.metadata?.labels ?? {};
  const selector = Object.entries(pod.spec?.nodeSelector ?? {});
  if (!selector.every(([key, value]) => labels[key] === value)) return false;
  const terms = pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  return terms === undefined || terms.some((term) => matchesTerm(term, node));
}

/** Sum of the weights of preferred node affinity that the node meets. */
export function nodePreference(pod: PodObject, node: NodeObject): number {
  const preferred = pod.spec?.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  const met = preferred.filter(({ preference }) => matchesTerm(preference, node));
  return met.reduce((sum, { weight }) => sum + weight, 0);
}

function matchesTerm(term: NodeSelectorTerm, node: NodeObject): boolean {
  const expressions = term.matchExpressions ?? [];
  const fields = term.matchFields ?? [];
  if (expressions.length + fields.length === 0) return false;
  const labels = node.metadata?.labels ?? {};
  const fieldValues: Record<string, string> = { 'metadata.name': node.metadata?.name ?? '' };
  return (
    expressions.every((requirement) => meets(requirement, labels)) &&
    fields.every((requirement) => meets(requirement, fieldValues))
  );
}

/** Validation has seen to it that the operator is one of the six. */
const meets = ({ key, operator, values = [] }: NodeSelectorRequirement, from: Record<string, string>): boolean =>
  matchesRequirement({ key, operator: operator as LabelOperator, values }, from);

/** The first taint that keeps the Pod away (NoSchedule and NoExecute), or undefined. */
export function untoleratedTaint(pod: PodObject, node: NodeObject): Taint | undefined {
  return untolerated(pod, node).find(({ effect }) => effect !== 'PreferNoSchedule');
}

/** Taints that only ask the Pod to go elsewhere (PreferNoSchedule). */
export const unwelcomingTaints = (pod: PodObject, node: NodeObject): number =>
  untolerated(pod, node).filter(({ effect }) => effect === 'PreferNoSchedule').length;

function untolerated({ spec }: PodObject, node: NodeObject): Taint[] {
  const tolerations = spec?.tolerations ?? [];
  return (node.spec?.taints ?? []).filter((taint) => !tolerations.some((toleration) => tolerates(toleration, taint)));
}

/** Whether the toleration is meant for the taint. */
export function tolerates(toleration: Toleration, taint: Taint): boolean {
  if (toleration.effect && toleration.effect !== taint.effect) return false;
  if (toleration.key && toleration.key !== taint.key) return false;
  if (toleration.operator === 'Exists') return true;
  return Boolean(toleration.key) && (toleration.value ?? '') === (taint.value ?? '');
}
