/** The Endpoints object of a Service, for clients that read no slices. Pure; after kube-controller-manager's endpoints controller. */
import type { KubeObject } from '@sampan/api/client.ts';
import type { EndpointAddress, EndpointSubset, Endpoints } from 'kubernetes-types/core/v1.js';
import {
  addressOf,
  hostnameIn,
  isReady,
  type PodObject,
  portsOf,
  type ServiceObject,
  selectedPods,
} from './pod-endpoints.ts';

export type EndpointsObject = Endpoints & KubeObject;

/** So many addresses one object holds; the slices hold all. */
const maxAddresses = 1000;
const overCapacity = 'endpoints.kubernetes.io/over-capacity';

/** Labels of ours on an Endpoints object; slices are not made of it a second time. */
export const managedEndpoints = { 'endpoints.kubernetes.io/managed-by': 'endpoint-controller' };

export function endpointsObject(service: ServiceObject, pods: readonly PodObject[]): EndpointsObject {
  const subsets = subsetsOf(service, pods);
  const { name, namespace, labels } = service.metadata ?? {};
  const headless = service.spec?.clusterIP === 'None' ? { 'service.kubernetes.io/headless': '' } : {};
  const cut = truncate(subsets);
  return {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: {
      name,
      namespace,
      labels: { ...labels, ...managedEndpoints, ...headless },
      ...(cut && { annotations: { [overCapacity]: 'truncated' } }),
    },
    ...(subsets.length > 0 && { subsets }),
  } as EndpointsObject;
}

function subsetsOf(service: ServiceObject, pods: readonly PodObject[]): EndpointSubset[] {
  const publishAll = service.spec?.publishNotReadyAddresses ?? false;
  const subsets = new Map<string, EndpointSubset>();
  for (const pod of selectedPods(service, pods)) {
    const ip = addressOf(pod);
    if (!ip || (pod.metadata?.deletionTimestamp && !publishAll)) continue;
    const ports = portsOf(service, pod).map(({ name, ...port }) => (name ? { name, ...port } : port));
    if (ports.length === 0 && (service.spec?.ports ?? []).length > 0) continue;
    const key = JSON.stringify(ports);
    const subset = subsets.get(key) ?? ({ ...(ports.length > 0 && { ports }) } as EndpointSubset);
    subsets.set(key, subset);
    const list = publishAll || isReady(pod) ? 'addresses' : 'notReadyAddresses';
    subset[list] = [...(subset[list] ?? []), addressIn(service, pod, ip)];
  }
  return [...subsets.values()];
}

function addressIn(service: ServiceObject, pod: PodObject, ip: string): EndpointAddress {
  const { name, namespace, uid } = pod.metadata ?? {};
  const hostname = hostnameIn(service, pod);
  return {
    ip,
    ...(hostname && { hostname }),
    ...(pod.spec?.nodeName && { nodeName: pod.spec.nodeName }),
    targetRef: { kind: 'Pod', namespace, name, uid },
  };
}

/** In place, those that are not ready first; true when something had to go. */
function truncate(subsets: EndpointSubset[]): boolean {
  let room = maxAddresses;
  let cut = false;
  for (const list of ['addresses', 'notReadyAddresses'] as const) {
    for (const subset of subsets) {
      const all = subset[list];
      if (!all) continue;
      cut ||= all.length > room;
      subset[list] = all.slice(0, room);
      room -= subset[list].length;
    }
  }
  return cut;
}
