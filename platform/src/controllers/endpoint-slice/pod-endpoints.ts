/** What a Service's Pods are as endpoints (KEP-752, KEP-1672). Pure; after k8s.io/endpointslice's reconciler. */
import type { KubeObject } from '@sampan/api/client.ts';
import type { Pod, Service, ServicePort } from 'kubernetes-types/core/v1.js';
import type { Endpoint, EndpointPort } from 'kubernetes-types/discovery/v1.js';

export type ServiceObject = Service & KubeObject;
export type PodObject = Pod & KubeObject;

/** Endpoints that have the same ports, and so may stand in one slice. */
export interface EndpointGroup {
  addressType: 'IPv4' | 'IPv6';
  ports: EndpointPort[];
  endpoints: Endpoint[];
}

/** Pods the Service selects, in the order of their names, so that the same state always gives the same slices. */
export function selectedPods(service: ServiceObject, pods: readonly PodObject[]): PodObject[] {
  const selector = Object.entries(service.spec?.selector ?? {});
  if (selector.length === 0) return [];
  return pods
    .filter(({ metadata }) => selector.every(([key, value]) => metadata?.labels?.[key] === value))
    .sort((a, b) => String(a.metadata?.name).localeCompare(String(b.metadata?.name)));
}

/** Pods that have ended or have no address are nobody's endpoint; those being deleted are, as long as they serve. */
export function endpointGroups(service: ServiceObject, pods: readonly PodObject[]): EndpointGroup[] {
  const groups = new Map<string, EndpointGroup>();
  for (const pod of selectedPods(service, pods)) {
    const address = addressOf(pod);
    if (!address) continue;
    const ports = portsOf(service, pod);
    // Every port is a name the Pod does not have: there is nothing to reach.
    if (ports.length === 0 && (service.spec?.ports ?? []).length > 0) continue;
    const key = JSON.stringify(ports);
    const group = groups.get(key) ?? { addressType: 'IPv4', ports, endpoints: [] };
    groups.set(key, group);
    group.endpoints.push(endpointOf(service, pod, address));
  }
  return [...groups.values()];
}

/** Undefined for a Pod that has ended, or has no IPv4 address yet. */
export function addressOf({ status }: PodObject): string | undefined {
  if (status?.phase === 'Succeeded' || status?.phase === 'Failed') return undefined;
  const addresses = [status?.podIP ?? '', ...(status?.podIPs ?? []).map(({ ip }) => ip ?? '')];
  return addresses.find((address) => address.includes('.'));
}

export function isReady({ status }: PodObject): boolean {
  return status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false;
}

function endpointOf(service: ServiceObject, pod: PodObject, address: string): Endpoint {
  const { name, namespace, uid, deletionTimestamp } = pod.metadata ?? {};
  const serving = isReady(pod);
  const terminating = Boolean(deletionTimestamp);
  const ready = (service.spec?.publishNotReadyAddresses ?? false) || (serving && !terminating);
  return {
    addresses: [address],
    conditions: { ready, serving, terminating },
    ...(hostnameIn(service, pod) && { hostname: hostnameIn(service, pod) }),
    ...(pod.spec?.nodeName && { nodeName: pod.spec.nodeName }),
    targetRef: { kind: 'Pod', namespace, name, uid },
  } as Endpoint;
}

/** A Pod that says it belongs to this Service has a DNS name of its own under it. */
export function hostnameIn(service: ServiceObject, { spec }: PodObject): string | undefined {
  return spec?.hostname && spec.subdomain === service.metadata?.name ? spec.hostname : undefined;
}

export function portsOf(service: ServiceObject, pod: PodObject): EndpointPort[] {
  return (service.spec?.ports ?? []).flatMap((port): EndpointPort[] => {
    const number = targetNumber(port, pod);
    if (number === undefined) return [];
    const { name = '', protocol = 'TCP', appProtocol } = port;
    return [{ name, port: number, protocol, ...(appProtocol && { appProtocol }) }];
  });
}

/** A named target is whatever number the Pod's containers give to that name; undefined when they have none. */
function targetNumber({ targetPort, port, protocol = 'TCP' }: ServicePort, { spec }: PodObject): number | undefined {
  if (typeof targetPort === 'number' && targetPort > 0) return targetPort;
  if (typeof targetPort !== 'string' || targetPort === '') return port;
  const sidecars = (spec?.initContainers ?? []).filter(
    (container) => (container as { restartPolicy?: string }).restartPolicy === 'Always',
  );
  for (const container of [...(spec?.containers ?? []), ...sidecars]) {
    const found = container.ports?.find((one) => one.name === targetPort && (one.protocol ?? 'TCP') === protocol);
    if (found) return found.containerPort;
  }
  return undefined;
}
