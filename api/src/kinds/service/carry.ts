/** What an update keeps of what was allocated before (service strategy's patchAllocatedValues and dropTypeDependentFields). */
import type { Service, ServiceSpec } from 'kubernetes-types/core/v1.js';
import { equalJson } from '../../json.ts';
import { hasAddress, isReachedFromOutside } from './defaults.ts';

/** A client that leaves addresses and node ports out (`kubectl replace`) means those there are. Idempotent. */
export function carryAllocations(service: Service, old: Service): void {
  const [spec, before] = [service.spec, old.spec];
  if (!spec || !before) return;
  if (hasAddress(spec) && hasAddress(before)) carryAddress(spec, before);
  if (isReachedFromOutside(spec) && isReachedFromOutside(before)) carryPorts(spec, before);
}

function carryAddress(spec: ServiceSpec, before: ServiceSpec): void {
  // Left out or blank, as charts write it; of the pair it is enough to leave the list as it was.
  if (!spec.clusterIP && (!spec.clusterIPs?.length || equalJson(spec.clusterIPs, before.clusterIPs))) {
    spec.clusterIP = before.clusterIP;
    if (before.clusterIPs) spec.clusterIPs = [...before.clusterIPs];
  }
  // Only one of the pair was changed: the other follows.
  if (spec.clusterIP !== before.clusterIP && equalJson(spec.clusterIPs, before.clusterIPs) && spec.clusterIP) {
    spec.clusterIPs = [spec.clusterIP];
  }
}

function carryPorts(spec: ServiceSpec, before: ServiceSpec): void {
  const taken = new Set((spec.ports ?? []).map((port) => port.nodePort ?? 0));
  for (const port of spec.ports ?? []) {
    if (port.nodePort) continue;
    const same = before.ports?.find((one) => one.port === port.port && one.protocol === port.protocol);
    if (!same?.nodePort || taken.has(same.nodePort)) continue;
    port.nodePort = same.nodePort;
    taken.add(same.nodePort);
  }
  if (spec.externalTrafficPolicy === 'Local' && spec.type === 'LoadBalancer' && !spec.healthCheckNodePort) {
    if (before.healthCheckNodePort) spec.healthCheckNodePort = before.healthCheckNodePort;
  }
}

/** A new type gives up what only the old one had, where the client did not change it itself. */
export function dropWhatTypeLost(service: Service, old: Service): void {
  const [spec, before] = [service.spec, old.spec];
  if (!spec || !before || spec.type === before.type) return;
  if (hasAddress(before) && !hasAddress(spec)) dropSame(spec, before, addressFields);
  if (!isReachedFromOutside(spec) && isReachedFromOutside(before)) {
    for (const port of spec.ports ?? []) {
      if (before.ports?.some((one) => one.nodePort === port.nodePort)) delete port.nodePort;
    }
    dropSame(spec, before, ['externalTrafficPolicy', 'healthCheckNodePort']);
  }
  if (spec.type !== 'LoadBalancer' && before.type === 'LoadBalancer') {
    dropSame(spec, before, ['allocateLoadBalancerNodePorts', 'loadBalancerClass', 'healthCheckNodePort']);
  }
  if (spec.type !== 'ExternalName' && before.type === 'ExternalName') dropSame(spec, before, ['externalName']);
}

const addressFields = ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy', 'internalTrafficPolicy'] as const;

function dropSame(spec: ServiceSpec, before: ServiceSpec, fields: readonly (keyof ServiceSpec)[]): void {
  for (const field of fields) if (equalJson(spec[field], before[field])) delete spec[field];
}
