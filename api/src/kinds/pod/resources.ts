/**
 * What a Pod asks for as a whole (component-helpers/resource): its containers together, or the hungriest moment of its start, whichever is more,
 * plus the sandbox's overhead.
 */
import type { Container, Pod } from 'kubernetes-types/core/v1.js';
import { Quantity } from '../../quantity.ts';
import { isSidecar } from './pod-types.ts';

export type ResourceAmounts = Record<string, Quantity>;

export interface PodResources {
  requests: ResourceAmounts;
  limits: ResourceAmounts;
  /** Of cpu and memory, those that at least one container may use without limit. */
  unlimited: ('cpu' | 'memory')[];
}

export type QosClass = 'Guaranteed' | 'Burstable' | 'BestEffort';

export function podResources(pod: Pod): PodResources {
  const overhead = parseAmounts(pod.spec?.overhead);
  const requests = sum(effective(pod, 'requests'), overhead);
  const limits = effective(pod, 'limits');
  for (const [name, amount] of Object.entries(overhead)) {
    const limit = limits[name];
    if (limit && !limit.isZero()) limits[name] = limit.add(amount);
  }
  const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  const unlimited = (['cpu', 'memory'] as const).filter((name) =>
    containers.some((container) => (amountsOf(container, 'limits')[name] ?? zero).isZero()),
  );
  return { requests, limits, unlimited };
}

/**
 * Init containers run one after another beside the sidecars started before them; then the containers run beside all sidecars. The Pod needs the
 * largest of these, resource by resource.
 */
function effective(pod: Pod, kind: 'requests' | 'limits'): ResourceAmounts {
  let sidecars: ResourceAmounts = {};
  let most: ResourceAmounts = {};
  for (const container of pod.spec?.initContainers ?? []) {
    const own = amountsOf(container, kind);
    most = largest(most, sum(sidecars, own));
    if (isSidecar(container)) sidecars = sum(sidecars, own);
  }
  const running = (pod.spec?.containers ?? []).reduce((total, one) => sum(total, amountsOf(one, kind)), sidecars);
  return largest(most, running);
}

/** Of cpu and memory, as Kubernetes classes Pods for eviction (core/v1/helper/qos). */
export function qosClassOf(pod: Pod): QosClass {
  const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  let guaranteed = containers.length > 0;
  let anything = false;
  for (const container of containers) {
    const [requests, limits] = [amountsOf(container, 'requests'), amountsOf(container, 'limits')];
    for (const name of ['cpu', 'memory']) {
      const request = requests[name] ?? limits[name] ?? zero;
      const limit = limits[name] ?? zero;
      if (!request.isZero() || !limit.isZero()) anything = true;
      if (limit.isZero() || request.compare(limit) !== 0) guaranteed = false;
    }
  }
  return guaranteed ? 'Guaranteed' : anything ? 'Burstable' : 'BestEffort';
}

const zero = new Quantity(0n);

function amountsOf(container: Container, kind: 'requests' | 'limits'): ResourceAmounts {
  return parseAmounts(container.resources?.[kind]);
}

function parseAmounts(list: Record<string, string> = {}): ResourceAmounts {
  return Object.fromEntries(Object.entries(list).map(([name, amount]) => [name, Quantity.parse(amount)]));
}

function sum(a: ResourceAmounts, b: ResourceAmounts): ResourceAmounts {
  return merge(a, b, (left, right) => left.add(right));
}

function largest(a: ResourceAmounts, b: ResourceAmounts): ResourceAmounts {
  return merge(a, b, (left, right) => (left.compare(right) < 0 ? right : left));
}

function merge(a: ResourceAmounts, b: ResourceAmounts, pick: (a: Quantity, b: Quantity) => Quantity): ResourceAmounts {
  const merged = { ...a };
  for (const [name, amount] of Object.entries(b)) {
    const other = merged[name];
    merged[name] = other ? pick(other, amount) : amount;
  }
  return merged;
}
