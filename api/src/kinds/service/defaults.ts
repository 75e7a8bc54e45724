/** Defaults of Services: core/v1 SetDefaults_Service, and of the allocator's what does not depend on what is free. */
import type { Service, ServiceSpec } from 'kubernetes-types/core/v1.js';

/** KEP-563's timeout of client affinity: three hours. */
const affinitySeconds = 10_800;

export function applyServiceDefaults(service: Service): void {
  service.spec ??= {};
  const { spec } = service;
  spec.sessionAffinity ||= 'None';
  if (spec.sessionAffinity === 'None') delete spec.sessionAffinityConfig;
  if (spec.sessionAffinity === 'ClientIP') {
    const config = spec.sessionAffinityConfig ?? {};
    const clientIP = config.clientIP ?? {};
    spec.sessionAffinityConfig = {
      ...config,
      clientIP: { ...clientIP, timeoutSeconds: clientIP.timeoutSeconds ?? affinitySeconds },
    };
  }
  spec.type ||= 'ClusterIP';
  for (const port of spec.ports ?? []) {
    port.protocol ||= 'TCP';
    if (port.targetPort === undefined || port.targetPort === 0 || port.targetPort === '') port.targetPort = port.port;
  }
  if (isReachedFromOutside(spec)) spec.externalTrafficPolicy ||= 'Cluster';
  if (hasAddress(spec)) spec.internalTrafficPolicy ||= 'Cluster';
  if (spec.type === 'LoadBalancer') spec.allocateLoadBalancerNodePorts ??= true;
  pairAddresses(spec);
  defaultFamilies(spec);
}

export const isReachedFromOutside = (spec: ServiceSpec): boolean =>
  spec.type === 'NodePort' || spec.type === 'LoadBalancer';

/** All types but ExternalName. */
export const hasAddress = (spec: ServiceSpec): boolean => spec.type === 'ClusterIP' || isReachedFromOutside(spec);

export const isHeadless = (spec: ServiceSpec): boolean => spec.clusterIP === 'None';

/** clusterIP is the first of clusterIPs; whichever the caller set fills the other. A contradiction is left for validation. */
function pairAddresses(spec: ServiceSpec): void {
  if (spec.clusterIP && !spec.clusterIPs?.length) spec.clusterIPs = [spec.clusterIP];
}

/** One family, IPv4; a headless Service nobody selects for may hold addresses of both (service/core/storage/alloc.go). */
function defaultFamilies(spec: ServiceSpec): void {
  if (!hasAddress(spec)) return;
  const freeOfFamily = isHeadless(spec) && Object.keys(spec.selector ?? {}).length === 0;
  spec.ipFamilyPolicy ||= freeOfFamily ? 'RequireDualStack' : 'SingleStack';
  if (spec.ipFamilies?.length) return;
  spec.ipFamilies = freeOfFamily && spec.ipFamilyPolicy !== 'SingleStack' ? ['IPv4', 'IPv6'] : ['IPv4'];
}
