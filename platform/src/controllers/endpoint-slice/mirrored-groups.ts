/** What an Endpoints object that people keep by hand is as slices (KEP-1713). Pure. */
import type { EndpointAddress, EndpointPort } from 'kubernetes-types/core/v1.js';
import type { Endpoint } from 'kubernetes-types/discovery/v1.js';
import type { EndpointsObject } from './endpoints-object.ts';
import type { EndpointGroup } from './pod-endpoints.ts';

/** --mirroring-max-endpoints-per-subset. */
const maxPerSubset = 1000;
const skipMirror = 'endpointslice.kubernetes.io/skip-mirror';
const leaderAnnotation = 'control-plane.alpha.kubernetes.io/leader';

/** Whether its owner wants slices made of it: not where he says no, nor where it is only a lock. */
export function isMirrored({ metadata }: EndpointsObject): boolean {
  return metadata?.labels?.[skipMirror] !== 'true' && metadata?.annotations?.[leaderAnnotation] === undefined;
}

export function mirroredGroups({ subsets = [] }: EndpointsObject): EndpointGroup[] {
  const groups: EndpointGroup[] = [];
  for (const { addresses = [], notReadyAddresses = [], ports = [] } of subsets) {
    const all = [
      ...addresses.map((address) => endpointOf(address, true)),
      ...notReadyAddresses.map((address) => endpointOf(address, false)),
    ].slice(0, maxPerSubset);
    for (const addressType of ['IPv4', 'IPv6'] as const) {
      const endpoints = all.filter(({ addresses: [ip] }) => (ip?.includes(':') ? 'IPv6' : 'IPv4') === addressType);
      if (endpoints.length > 0) groups.push({ addressType, ports: ports.map(portOf), endpoints });
    }
  }
  return groups;
}

function portOf({ name = '', port, protocol = 'TCP', appProtocol }: EndpointPort) {
  return { name, port, protocol, ...(appProtocol && { appProtocol }) };
}

function endpointOf({ ip, hostname, nodeName, targetRef }: EndpointAddress, ready: boolean): Endpoint {
  return {
    addresses: [ip],
    conditions: { ready },
    ...(hostname && { hostname }),
    ...(nodeName && { nodeName }),
    ...(targetRef && { targetRef }),
  } as Endpoint;
}
