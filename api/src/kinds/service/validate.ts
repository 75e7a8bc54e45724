/** Validation of Services: core validation.ValidateService. */
import type { Service, ServiceSpec } from 'kubernetes-types/core/v1.js';
import type { Cause } from '../../errors.ts';
import { checkEnum, duplicate, forbidden, invalid, invalidFor, required } from '../../field-errors.ts';
import { dnsSubdomainProblems, ipProblems, isIpv6 } from '../../names.ts';
import { validateLabels } from '../metadata.ts';
import { hasAddress, isHeadless, isReachedFromOutside } from './defaults.ts';
import { validateServicePorts } from './validate-ports.ts';

const types = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];
const affinities = ['ClientIP', 'None'];
const trafficPolicies = ['Cluster', 'Local'];
const distributions = ['PreferClose'];
const families = ['IPv4', 'IPv6'];
const familyPolicies = ['SingleStack', 'PreferDualStack', 'RequireDualStack'];
const longestAffinitySeconds = 86_400;

export function validateService({ spec = {} }: Service): Cause[] {
  return [
    ...checkEnum('spec.type', spec.type, types),
    ...validateServicePorts(spec),
    ...validateLabels(spec.selector, 'spec.selector'),
    ...validateAffinity(spec),
    ...validateAddresses(spec),
    ...validateOutside(spec),
    ...validatePolicies(spec),
  ];
}

function validateAffinity({ sessionAffinity, sessionAffinityConfig }: ServiceSpec): Cause[] {
  const causes = checkEnum('spec.sessionAffinity', sessionAffinity, affinities);
  const seconds = sessionAffinityConfig?.clientIP?.timeoutSeconds;
  if (sessionAffinity !== 'ClientIP' || seconds === undefined) return causes;
  if (seconds > 0 && seconds <= longestAffinitySeconds) return causes;
  const detail = `must be greater than 0 and less than ${longestAffinitySeconds}`;
  return [...causes, invalid('spec.sessionAffinityConfig.clientIP.timeoutSeconds', seconds, detail)];
}

function validateAddresses(spec: ServiceSpec): Cause[] {
  const { clusterIP, clusterIPs = [], type } = spec;
  if (type === 'ExternalName') {
    const name = (spec.externalName ?? '').replace(/\.$/, '');
    const set = (['clusterIPs', 'ipFamilies', 'ipFamilyPolicy'] as const).filter((field) => isSet(spec[field]));
    return [
      ...set.map((field) => forbidden(`spec.${field}`, "may not be set when `type` is 'ExternalName'")),
      ...(name ? invalidFor('spec.externalName', name, dnsSubdomainProblems(name)) : [required('spec.externalName')]),
    ];
  }
  const causes: Cause[] = [];
  if (clusterIP && clusterIPs[0] !== clusterIP) {
    causes.push(invalid('spec.clusterIPs', clusterIPs, 'first value must match `clusterIP`'));
  }
  if (clusterIPs.length > 1) causes.push(invalid('spec.clusterIPs', clusterIPs, 'this instance has IPv4 only'));
  if (clusterIPs.includes('None')) {
    if (clusterIPs.length > 1)
      causes.push(invalid('spec.clusterIPs[0]', 'None', "'None' must be the first and only value"));
    if (isReachedFromOutside(spec)) {
      causes.push(invalid('spec.clusterIPs[0]', 'None', `may not be set to 'None' for ${type} services`));
    }
  }
  for (const [i, address] of clusterIPs.entries()) {
    if (address === 'None' || address === '') continue;
    causes.push(...invalidFor(`spec.clusterIPs[${i}]`, address, ipProblems(address)));
    if (isIpv6(address)) causes.push(invalid(`spec.clusterIPs[${i}]`, address, 'this instance has IPv4 only'));
  }
  return [...causes, ...validateFamilies(spec)];
}

function validateFamilies(spec: ServiceSpec): Cause[] {
  const causes: Cause[] = [];
  const { ipFamilies = [], ipFamilyPolicy } = spec;
  if (ipFamilyPolicy) causes.push(...checkEnum('spec.ipFamilyPolicy', ipFamilyPolicy, familyPolicies));
  for (const [i, family] of ipFamilies.entries()) {
    causes.push(...checkEnum(`spec.ipFamilies[${i}]`, family, families));
    if (ipFamilies.indexOf(family) < i) causes.push(duplicate(`spec.ipFamilies[${i}]`, family));
  }
  if (isHeadless(spec)) return causes;
  const why = 'this cluster is not configured for IPv6; only SingleStack with IPv4 is possible';
  if (ipFamilies[0] === 'IPv6') causes.push(invalid('spec.ipFamilies[0]', 'IPv6', 'not configured on this cluster'));
  if (ipFamilyPolicy === 'RequireDualStack') causes.push(invalid('spec.ipFamilyPolicy', ipFamilyPolicy, why));
  return causes;
}

/** What only Services that are reached from outside may say. */
function validateOutside(spec: ServiceSpec): Cause[] {
  const causes: Cause[] = [];
  const { externalIPs = [], loadBalancerSourceRanges = [], type } = spec;
  for (const [i, address] of externalIPs.entries()) {
    causes.push(...invalidFor(`spec.externalIPs[${i}]`, address, ipProblems(address)));
  }
  if (type !== 'LoadBalancer') {
    const only = "may only be used when `type` is 'LoadBalancer'";
    if (loadBalancerSourceRanges.length > 0) causes.push(forbidden('spec.LoadBalancerSourceRanges', only));
    if (spec.allocateLoadBalancerNodePorts !== undefined) {
      causes.push(forbidden('spec.allocateLoadBalancerNodePorts', only));
    }
    if (spec.loadBalancerClass) causes.push(forbidden('spec.loadBalancerClass', only));
  }
  for (const [i, range] of loadBalancerSourceRanges.entries()) {
    if (!isCidr(range.trim())) {
      const detail = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)';
      causes.push(invalid(`spec.LoadBalancerSourceRanges[${i}]`, range, detail));
    }
  }
  return causes;
}

function validatePolicies(spec: ServiceSpec): Cause[] {
  const causes: Cause[] = [];
  if (isReachedFromOutside(spec)) {
    causes.push(...checkEnum('spec.externalTrafficPolicy', spec.externalTrafficPolicy, trafficPolicies));
  } else if (spec.externalTrafficPolicy && !spec.externalIPs?.length) {
    const detail = 'may only be set for externally-accessible services';
    causes.push(invalid('spec.externalTrafficPolicy', spec.externalTrafficPolicy, detail));
  }
  if (hasAddress(spec))
    causes.push(...checkEnum('spec.internalTrafficPolicy', spec.internalTrafficPolicy, trafficPolicies));
  if (spec.trafficDistribution) {
    causes.push(...checkEnum('spec.trafficDistribution', spec.trafficDistribution, distributions));
  }
  const wantsHealthPort = spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local';
  if (spec.healthCheckNodePort && !wantsHealthPort) {
    const detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
    causes.push(invalid('spec.healthCheckNodePort', spec.healthCheckNodePort, detail));
  }
  return causes;
}

const isSet = (value: unknown): boolean => (Array.isArray(value) ? value.length > 0 : Boolean(value));

export function isCidr(value: string): boolean {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(value);
  if (!match || ipProblems(match[1]!).length > 0) return false;
  return Number(match[2]) <= (isIpv6(match[1]!) ? 128 : 32);
}
