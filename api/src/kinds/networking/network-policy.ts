/** NetworkPolicy: who may talk to whom. Stored and validated here; whether traffic heeds it is the network's business. */
import type { IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort } from 'kubernetes-types/networking/v1.js';
import type { ResourceRef } from '../../client.ts';
import type { Cause } from '../../errors.ts';
import { checkEnum, forbidden, invalid, invalidFor, required } from '../../field-errors.ts';
import { portNameProblems, portNumberProblems } from '../../names.ts';
import { ageCell, ageColumn, column, nameCell, nameColumn } from '../columns.ts';
import { bumpGeneration, defineKind } from '../define.ts';
import { validateLabelSelector } from '../label-selector-validation.ts';
import { isCidr } from '../service/validate.ts';
import { protocols } from '../service/validate-ports.ts';
import { selectorCell } from './selector-cell.ts';

const networkPolicies = {
  group: 'networking.k8s.io',
  version: 'v1',
  resource: 'networkpolicies',
  namespaced: true,
} as const satisfies ResourceRef;

const policyTypes = ['Egress', 'Ingress'];

export const networkPolicyKind = defineKind<NetworkPolicy>({
  ref: networkPolicies,
  kind: 'NetworkPolicy',
  shortNames: ['netpol'],
  columns: [nameColumn, column('Pod-Selector', 'Pods it is about.'), ageColumn],
  row: (policy, nowMs) => [nameCell(policy), selectorCell(policy.spec?.podSelector), ageCell(policy, nowMs)],
  defaults(policy) {
    policy.spec ??= { podSelector: {} };
    const { spec } = policy;
    spec.podSelector ??= {};
    // Whoever lists no egress rules and no types means ingress alone (networking/v1 SetDefaults_NetworkPolicy).
    if (!spec.policyTypes?.length) spec.policyTypes = spec.egress?.length ? ['Ingress', 'Egress'] : ['Ingress'];
    for (const rule of [...(spec.ingress ?? []), ...(spec.egress ?? [])]) {
      for (const port of rule.ports ?? []) port.protocol ||= 'TCP';
    }
  },
  prepareCreate(policy) {
    Object.assign(policy.metadata ?? {}, { generation: 1 });
  },
  prepareUpdate: bumpGeneration,
  validate: validatePolicy,
});

function validatePolicy({ spec }: NetworkPolicy): Cause[] {
  if (!spec) return [];
  const causes = validateLabelSelector(spec.podSelector, 'spec.podSelector');
  for (const [i, rule] of (spec.ingress ?? []).entries()) {
    causes.push(...validatePorts(rule.ports, `spec.ingress[${i}].ports`));
    causes.push(...validatePeers(rule.from, `spec.ingress[${i}].from`));
  }
  for (const [i, rule] of (spec.egress ?? []).entries()) {
    causes.push(...validatePorts(rule.ports, `spec.egress[${i}].ports`));
    causes.push(...validatePeers(rule.to, `spec.egress[${i}].to`));
  }
  const types = spec.policyTypes ?? [];
  if (types.length > policyTypes.length) {
    causes.push(invalid('spec.policyTypes', types, 'may not specify more than two policyTypes'));
  } else {
    for (const [i, type] of types.entries()) causes.push(...checkEnum(`spec.policyTypes[${i}]`, type, policyTypes));
  }
  return causes;
}

function validatePorts(ports: NetworkPolicyPort[] = [], field: string): Cause[] {
  const causes: Cause[] = [];
  for (const [i, { port, endPort, protocol }] of ports.entries()) {
    const at = `${field}[${i}]`;
    causes.push(...checkEnum(`${at}.protocol`, protocol, protocols));
    if (typeof port === 'string') causes.push(...invalidFor(`${at}.port`, port, portNameProblems(port)));
    if (typeof port === 'number') causes.push(...invalidFor(`${at}.port`, port, portNumberProblems(port)));
    if (endPort === undefined) continue;
    if (port === undefined) causes.push(required(`${at}.port`, 'must be specified when `endPort` is set'));
    else if (typeof port === 'string') {
      causes.push(invalid(`${at}.endPort`, endPort, 'may not be specified when `port` is non-numeric'));
    } else if (endPort < port) {
      causes.push(invalid(`${at}.endPort`, endPort, 'must be greater than or equal to `port`'));
    } else causes.push(...invalidFor(`${at}.endPort`, endPort, portNumberProblems(endPort)));
  }
  return causes;
}

function validatePeers(peers: NetworkPolicyPeer[] = [], field: string): Cause[] {
  const causes: Cause[] = [];
  for (const [i, { podSelector, namespaceSelector, ipBlock }] of peers.entries()) {
    const at = `${field}[${i}]`;
    if (podSelector) causes.push(...validateLabelSelector(podSelector, `${at}.podSelector`));
    if (namespaceSelector) causes.push(...validateLabelSelector(namespaceSelector, `${at}.namespaceSelector`));
    if (ipBlock) causes.push(...validateBlock(ipBlock, `${at}.ipBlock`));
    if (ipBlock && (podSelector || namespaceSelector)) {
      causes.push(forbidden(at, 'may not specify both ipBlock and another peer'));
    }
    if (!ipBlock && !podSelector && !namespaceSelector) causes.push(required(at, 'must specify a peer'));
  }
  return causes;
}

const cidrMessage = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)';

function validateBlock({ cidr, except = [] }: IPBlock, field: string): Cause[] {
  if (!cidr) return [required(`${field}.cidr`)];
  const causes: Cause[] = isCidr(cidr) ? [] : [invalid(`${field}.cidr`, cidr, cidrMessage)];
  for (const [i, one] of except.entries()) {
    if (!isCidr(one)) causes.push(invalid(`${field}.except[${i}]`, one, cidrMessage));
  }
  return causes;
}
