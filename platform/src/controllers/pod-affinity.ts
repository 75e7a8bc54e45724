/**
 * Where the Pods that are there already let another one go: required affinity and anti-affinity between Pods, both ways, and how much a
 * node is preferred for them. Pure, after kube-scheduler's InterPodAffinity plugin. Owns no other ground of refusal (schedule-decision.ts).
 */
import type { PodAffinityTerm } from 'kubernetes-types/core/v1.js';
import { labelOf, type NodeObject, type PodObject } from './node-selection.ts';
import { likenessTo } from './pod-likeness.ts';
import { selectedBy } from './selected-by.ts';

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
  readonly #around: Neighbourhood;
  readonly #nodes: Map<string | undefined, NodeObject>;
  readonly #wanted: Domain[];
  readonly #shunned: Domain[];
  readonly #shunning: Domain[];
  readonly #preferred: (Domain & { weight: number })[];
  readonly #isFirst: boolean;

  constructor(pod: PodObject, around: Neighbourhood) {
    this.#around = around;
    this.#nodes = new Map(around.nodes.map((node) => [node.metadata?.name, node]));
    const { podAffinity, podAntiAffinity } = pod.spec?.affinity ?? {};
    const find = (term: PodAffinityTerm) => this.#domainOf(term, pod);
    const terms = podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
    this.#wanted = terms.map(find);
    this.#shunned = shunnedBy(pod).map(find);
    this.#shunning = this.#domainsShunning(pod);
    const soft = (sign: 1 | -1, list: { weight: number; podAffinityTerm: PodAffinityTerm }[] = []) =>
      list.map(({ weight, podAffinityTerm }) => ({ ...find(podAffinityTerm), weight: sign * weight }));
    this.#preferred = [
      ...soft(1, podAffinity?.preferredDuringSchedulingIgnoredDuringExecution),
      ...soft(-1, podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution),
    ];
    // The first of a group whose members want each other would wait for ever.
    this.#isFirst =
      this.#wanted.every(({ values }) => values.size === 0) &&
      terms.every((term) => meaning(term, pod, around.namespaceLabels)(pod));
  }

  /** Why the Pods of the node's surroundings keep this one away, in kube-scheduler's words. */
  refusal(node: NodeObject): string | undefined {
    if (!this.#wanted.every((domain) => this.#isMet(domain, node))) return "node(s) didn't match pod affinity rules";
    if (this.#shunned.some((domain) => isIn(domain, node))) return "node(s) didn't match pod anti-affinity rules";
    if (this.#shunning.some((domain) => isIn(domain, node)))
      return "node(s) didn't satisfy existing pods anti-affinity rules";
    return undefined;
  }

  /** Weights of what the Pod would like to be beside, less those of what it would not. */
  preference(node: NodeObject): number {
    const met = this.#preferred.filter((domain) => isIn(domain, node));
    return met.reduce((sum, { weight }) => sum + weight, 0);
  }

  #isMet(domain: Domain, node: NodeObject): boolean {
    return this.#isFirst ? labelOf(node, domain.key) !== undefined : isIn(domain, node);
  }

  #domainOf(term: PodAffinityTerm, owner: PodObject): Domain {
    const isMeant = meaning(term, owner, this.#around.namespaceLabels);
    const domain: Domain = { key: term.topologyKey, values: new Set() };
    for (const other of this.#around.bound) if (isMeant(other)) this.#enter(domain, other);
    return domain;
  }

  /** Where those stand whose own anti-affinity means the Pod: of each topology key one. */
  #domainsShunning(pod: PodObject): Domain[] {
    const domains = new Map<string, Domain>();
    for (const other of this.#around.bound)
      for (const term of shunnedBy(other)) {
        if (!meaning(term, other, this.#around.namespaceLabels)(pod)) continue;
        const domain = domains.get(term.topologyKey) ?? { key: term.topologyKey, values: new Set() };
        domains.set(domain.key, domain);
        this.#enter(domain, other);
      }
    return [...domains.values()];
  }

  #enter({ key, values }: Domain, pod: PodObject): void {
    const node = this.#nodes.get(pod.spec?.nodeName);
    const value = node && labelOf(node, key);
    if (value !== undefined) values.add(value);
  }
}

/** The values of a topology key at which Pods that are meant are running. */
interface Domain {
  key: string;
  values: Set<string>;
}

function isIn({ key, values }: Domain, node: NodeObject): boolean {
  const value = labelOf(node, key);
  return value !== undefined && values.has(value);
}

const shunnedBy = ({ spec }: PodObject): PodAffinityTerm[] =>
  spec?.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];

/** Whether a term of `owner` means a Pod: by labels, and by namespace (the owner's own when the term names none). */
function meaning(term: PodAffinityTerm, owner: PodObject, labels: NamespaceLabels): (other: PodObject) => boolean {
  const { namespaces = [], namespaceSelector } = term;
  const named = namespaces.length > 0 || namespaceSelector ? namespaces : [owner.metadata?.namespace ?? ''];
  const isLike = likenessTo(owner, term);
  return (other) => {
    const where = other.metadata?.namespace ?? '';
    return (named.includes(where) || selectedBy(namespaceSelector, labels(where))) && isLike(other);
  };
}
