/**
 * Where the Pods that are there already let another one go: required affinity and anti-affinity between Pods, both ways, and how much a
 * node is preferred for them. Pure, after kube-scheduler's InterPodAffinity plugin. Owns no other ground of refusal (schedule-decision.ts).
 */
import { type LabelOperator, matchesLabels } from '@sampan/api/selectors/label-selector.ts';
import type { PodAffinityTerm } from 'kubernetes-types/core/v1.js';
import type { LabelSelector } from 'kubernetes-types/meta/v1.js';
import type { NodeObject, PodObject } from './node-selection.ts';

/** Labels of a namespace, for terms with a namespaceSelector; undefined for one that is not there. */
export type NamespaceLabels = (namespace: string) => Record<string, string> | undefined;

export interface Neighbourhood {
  nodes: NodeObject[];
  /** Pods that have a node and have not ended. */
  bound: PodObject[];
  namespaceLabels: NamespaceLabels;
}

/** What is decided about a Pod once for all nodes: ask for each node's refusal and preference. */
export class PodAffinity {
  readonly #wanted: Domains[];
  readonly #shunned: Domains[];
  readonly #shunning: Domains[];
  readonly #preferred: { weight: number; domains: Domains }[];
  readonly #isFirst: boolean;

  constructor(pod: PodObject, around: Neighbourhood) {
    const { podAffinity, podAntiAffinity } = pod.spec?.affinity ?? {};
    const find = (term: PodAffinityTerm) => domainsOf(term, pod, around);
    const terms = podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
    this.#wanted = terms.map(find);
    this.#shunned = (podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []).map(find);
    this.#shunning = around.bound.flatMap((other) => domainsShunning(pod, other, around));
    const soft = (sign: 1 | -1, list: { weight: number; podAffinityTerm: PodAffinityTerm }[] = []) =>
      list.map(({ weight, podAffinityTerm }) => ({ weight: sign * weight, domains: find(podAffinityTerm) }));
    this.#preferred = [
      ...soft(1, podAffinity?.preferredDuringSchedulingIgnoredDuringExecution),
      ...soft(-1, podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution),
    ];
    // The first of a group whose members want each other would wait for ever.
    this.#isFirst =
      this.#wanted.every(({ values }) => values.size === 0) &&
      terms.every((term) => matchesTerm(term, pod, pod, around.namespaceLabels));
  }

  /** Why the Pods of the node's surroundings keep this one away, in kube-scheduler's words. */
  refusal(node: NodeObject): string | undefined {
    if (!this.#wanted.every((domains) => this.#isMet(domains, node))) return "node(s) didn't match pod affinity rules";
    if (this.#shunned.some((domains) => isIn(domains, node))) return "node(s) didn't match pod anti-affinity rules";
    if (this.#shunning.some((domains) => isIn(domains, node)))
      return "node(s) didn't satisfy existing pods anti-affinity rules";
    return undefined;
  }

  /** Weights of what the Pod would like to be beside, less those of what it would not. */
  preference(node: NodeObject): number {
    const met = this.#preferred.filter(({ domains }) => isIn(domains, node));
    return met.reduce((sum, { weight }) => sum + weight, 0);
  }

  #isMet(domains: Domains, node: NodeObject): boolean {
    return this.#isFirst ? labelOf(node, domains.key) !== undefined : isIn(domains, node);
  }
}

/** The values of a topology key at which Pods that a term means are running. */
interface Domains {
  key: string;
  values: Set<string>;
}

function domainsOf(term: PodAffinityTerm, owner: PodObject, around: Neighbourhood): Domains {
  const meant = around.bound.filter((other) => matchesTerm(term, owner, other, around.namespaceLabels));
  return domainsAt(term.topologyKey, meant, around.nodes);
}

/** Where `other` stands whose own anti-affinity means the Pod. */
function domainsShunning(pod: PodObject, other: PodObject, around: Neighbourhood): Domains[] {
  const terms = other.spec?.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
  const meaning = terms.filter((term) => matchesTerm(term, other, pod, around.namespaceLabels));
  return meaning.map(({ topologyKey }) => domainsAt(topologyKey, [other], around.nodes));
}

function domainsAt(key: string, pods: PodObject[], nodes: NodeObject[]): Domains {
  const names = new Set(pods.map((pod) => pod.spec?.nodeName));
  const values = new Set<string>();
  for (const node of nodes) {
    const value = labelOf(node, key);
    if (value !== undefined && names.has(node.metadata?.name)) values.add(value);
  }
  return { key, values };
}

const isIn = ({ key, values }: Domains, node: NodeObject): boolean => values.has(labelOf(node, key) ?? '\0');

export const labelOf = (node: NodeObject, key: string): string | undefined => node.metadata?.labels?.[key];

/** Whether a term of `owner` means `other`: by labels, and by namespace (the owner's own when the term names none). */
function matchesTerm(term: PodAffinityTerm, owner: PodObject, other: PodObject, labels: NamespaceLabels): boolean {
  const { namespaces = [], namespaceSelector, matchLabelKeys, mismatchLabelKeys } = term;
  const where = other.metadata?.namespace ?? '';
  const named = namespaces.length > 0 || namespaceSelector ? namespaces : [owner.metadata?.namespace ?? ''];
  const selected = namespaceSelector && matchesSelector(namespaceSelector, labels(where));
  if (!named.includes(where) && !selected) return false;
  const own = owner.metadata?.labels ?? {};
  const its = other.metadata?.labels ?? {};
  const alike = (matchLabelKeys ?? []).every((key) => !Object.hasOwn(own, key) || its[key] === own[key]);
  const unlike = (mismatchLabelKeys ?? []).every((key) => !Object.hasOwn(own, key) || its[key] !== own[key]);
  return alike && unlike && matchesSelector(term.labelSelector, its);
}

/** No selector means nothing, an empty one everything. Validation has seen to what stands in it. */
export function matchesSelector(selector?: LabelSelector, labels?: Record<string, string>): boolean {
  if (!selector || !labels) return false;
  const { matchLabels = {}, matchExpressions = [] } = selector;
  const equal = Object.entries(matchLabels).map(([key, value]) => ({ key, operator: 'In' as const, values: [value] }));
  const expressions = matchExpressions.map(({ key, operator, values = [] }) => ({
    key,
    operator: operator as LabelOperator,
    values,
  }));
  return matchesLabels([...equal, ...expressions], labels);
}
