/** Amounts of resources by name, exactly: sums, maxima, and what a Pod asks for as a whole (component-helpers/resource). */
import type { Container, Pod } from 'kubernetes-types/core/v1.js';
import { isSidecar } from '../kinds/pod/pod-types.ts';
import { Quantity } from '../quantity.ts';

export type Amounts = Record<string, Quantity>;

export function parseAmounts(list: Record<string, string> = {}): Amounts {
  return Object.fromEntries(Object.entries(list).map(([name, amount]) => [name, Quantity.parse(amount)]));
}

export function formatAmounts(amounts: Amounts): Record<string, string> {
  return Object.fromEntries(Object.entries(amounts).map(([name, amount]) => [name, amount.toString()]));
}

/** `pods=1,requests.cpu=500m`: in order of names, as messages tell them. */
export function describeAmounts(amounts: Amounts): string {
  return Object.keys(amounts)
    .sort()
    .map((name) => `${name}=${amounts[name]}`)
    .join(',');
}

export function sum(a: Amounts, b: Amounts): Amounts {
  return merge(a, b, (left, right) => left.add(right));
}

/** By how much `after` is more than `before`, without what is not. */
export function growth(before: Amounts, after: Amounts): Amounts {
  const grown: Amounts = {};
  for (const [name, amount] of Object.entries(after)) {
    const had = before[name];
    if (!had) grown[name] = amount;
    else if (amount.compare(had) > 0) grown[name] = amount.subtract(had);
  }
  return grown;
}

export function pick(amounts: Amounts, names: Iterable<string>): Amounts {
  const picked: Amounts = {};
  for (const name of names) if (amounts[name]) picked[name] = amounts[name];
  return picked;
}

/**
 * Init containers run one after another beside the sidecars started before them; then the containers run beside all sidecars. The Pod
 * needs the largest of these, resource by resource, and its overhead.
 */
export function podAmounts(pod: Pod, of: 'requests' | 'limits'): Amounts {
  const amounts = containersAmounts(pod, of);
  for (const [name, extra] of Object.entries(parseAmounts(pod.spec?.overhead))) {
    const own = amounts[name];
    if (of === 'requests') amounts[name] = own ? own.add(extra) : extra;
    else if (own && !own.isZero()) amounts[name] = own.add(extra);
  }
  return amounts;
}

function containersAmounts(pod: Pod, of: 'requests' | 'limits'): Amounts {
  const amountsOf = (container: Container) => parseAmounts(container.resources?.[of]);
  let sidecars: Amounts = {};
  let most: Amounts = {};
  for (const container of pod.spec?.initContainers ?? []) {
    const own = amountsOf(container);
    most = largest(most, sum(sidecars, own));
    if (isSidecar(container)) sidecars = sum(sidecars, own);
  }
  const running = (pod.spec?.containers ?? []).reduce((total, one) => sum(total, amountsOf(one)), sidecars);
  return largest(most, running);
}

function largest(a: Amounts, b: Amounts): Amounts {
  return merge(a, b, (left, right) => (left.compare(right) < 0 ? right : left));
}

function merge(a: Amounts, b: Amounts, choose: (a: Quantity, b: Quantity) => Quantity): Amounts {
  const merged = { ...a };
  for (const [name, amount] of Object.entries(b)) {
    const other = merged[name];
    merged[name] = other ? choose(other, amount) : amount;
  }
  return merged;
}
