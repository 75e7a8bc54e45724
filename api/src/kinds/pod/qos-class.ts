/** The QoS class of a Pod, from what its containers request and may use. How large a Pod is stands in api/src/pod-size.ts. */
import type { Container, Pod } from 'kubernetes-types/core/v1.js';
import { Quantity } from '../../quantity.ts';

export type QosClass = 'Guaranteed' | 'Burstable' | 'BestEffort';

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

function amountsOf(container: Container, kind: 'requests' | 'limits'): Record<string, Quantity> {
  const amounts = Object.entries(container.resources?.[kind] ?? {});
  return Object.fromEntries(amounts.map(([name, amount]) => [name, Quantity.parse(amount)]));
}
