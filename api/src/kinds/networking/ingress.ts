/** Ingress: how HTTP from outside finds Services. Stored and validated; nothing of this build serves it yet. */
import type { Ingress, IngressBackend, IngressRule } from 'kubernetes-types/networking/v1.js';
import type { ResourceRef } from '../../client.ts';
import type { Cause } from '../../errors.ts';
import { checkEnum, invalid, invalidFor, required } from '../../field-errors.ts';
import {
  dns1035Problems,
  dnsSubdomainProblems,
  isIpAddress,
  portNameProblems,
  portNumberProblems,
} from '../../names.ts';
import { ageCell, ageColumn, column, nameCell, nameColumn } from '../columns.ts';
import { bumpGeneration, defineKind, splitSpecAndStatus } from '../define.ts';

export const ingresses = {
  group: 'networking.k8s.io',
  version: 'v1',
  resource: 'ingresses',
  namespaced: true,
} as const satisfies ResourceRef;

const pathTypes = ['Exact', 'ImplementationSpecific', 'Prefix'];
/** Parts no path of a request has (validation.invalidPathSequences and invalidPathSuffixes). */
const badSequences = ['//', '/./', '/../', '%2f', '%2F'];
const badSuffixes = ['/..', '/.'];

export const ingressKind = defineKind<Ingress>({
  ref: ingresses,
  kind: 'Ingress',
  shortNames: ['ing'],
  subresources: ['status'],
  columns: [
    nameColumn,
    column('Class', 'Which controller serves it.'),
    column('Hosts', 'Names it answers to.'),
    column('Address', 'Where it is reached.'),
    column('Ports', 'Ports it is reached at.'),
    ageColumn,
  ],
  row: (ingress, nowMs) => [
    nameCell(ingress),
    ingress.spec?.ingressClassName ?? '<none>',
    hostsOf(ingress),
    (ingress.status?.loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ip || hostname || '').join(','),
    ingress.spec?.tls?.length ? '80, 443' : '80',
    ageCell(ingress, nowMs),
  ],
  prepareCreate(ingress) {
    Object.assign(ingress, { status: { loadBalancer: {} } });
    Object.assign(ingress.metadata ?? {}, { generation: 1 });
  },
  prepareUpdate(ingress, old, target) {
    splitSpecAndStatus(ingress, old, target);
    bumpGeneration(ingress, old);
  },
  validate: (ingress) => [...validateAnnotatedClass(ingress), ...validateIngress(ingress)],
  validateUpdate: validateIngress,
});

function hostsOf({ spec }: Ingress): string {
  const hosts = (spec?.rules ?? []).map(({ host }) => host ?? '').filter(Boolean);
  if (hosts.length === 0) return '*';
  return hosts.slice(0, 3).join(',') + (hosts.length > 3 ? ` + ${hosts.length - 3} more...` : '');
}

/** Of new ones alone: older ones may say both, and differently. */
function validateAnnotatedClass({ metadata, spec }: Ingress): Cause[] {
  const annotated = metadata?.annotations?.['kubernetes.io/ingress.class'];
  const { ingressClassName } = spec ?? {};
  if (!annotated || !ingressClassName || annotated === ingressClassName) return [];
  const why = 'must match `ingressClassName` when both are specified';
  return [invalid('annotations.kubernetes.io/ingress.class', annotated, why)];
}

function validateIngress({ spec }: Ingress): Cause[] {
  const { rules = [], defaultBackend, tls = [], ingressClassName } = spec ?? {};
  const causes: Cause[] = [];
  if (rules.length === 0 && !defaultBackend) {
    causes.push(invalid('spec', rules, 'either `defaultBackend` or `rules` must be specified'));
  }
  for (const [i, one] of tls.entries()) {
    for (const [j, host] of (one.hosts ?? []).entries()) {
      causes.push(...invalidFor(`spec.tls[${i}].hosts[${j}]`, host, hostProblems(host)));
    }
    if (one.secretName) {
      causes.push(...invalidFor(`spec.tls[${i}].secretName`, one.secretName, dnsSubdomainProblems(one.secretName)));
    }
  }
  if (defaultBackend) causes.push(...validateBackend(defaultBackend, 'spec.defaultBackend'));
  for (const [i, rule] of rules.entries()) causes.push(...validateRule(rule, `spec.rules[${i}]`));
  if (ingressClassName !== undefined) {
    causes.push(...invalidFor('spec.ingressClassName', ingressClassName, dnsSubdomainProblems(ingressClassName)));
  }
  return causes;
}

/** A name, or one whose first label is a star. */
function hostProblems(host: string): string[] {
  return dnsSubdomainProblems(host.startsWith('*.') ? host.slice(2) : host);
}

function validateRule({ host, http }: IngressRule, field: string): Cause[] {
  const causes: Cause[] = [];
  if (host && isIpAddress(host)) causes.push(invalid(`${field}.host`, host, 'must be a DNS name, not an IP address'));
  else if (host) causes.push(...invalidFor(`${field}.host`, host, hostProblems(host)));
  if (!http) return causes;
  if (!http.paths?.length) causes.push(required(`${field}.http.paths`));
  for (const [i, { path = '', pathType, backend }] of (http.paths ?? []).entries()) {
    const at = `${field}.http.paths[${i}]`;
    if (!pathType) causes.push(required(`${at}.pathType`, 'pathType must be specified'));
    else causes.push(...checkEnum(`${at}.pathType`, pathType, pathTypes));
    causes.push(...validatePath(path, pathType, `${at}.path`), ...validateBackend(backend, `${at}.backend`));
  }
  return causes;
}

function validatePath(path: string, type: string, field: string): Cause[] {
  if (type === 'ImplementationSpecific') {
    return path === '' || path.startsWith('/') ? [] : [invalid(field, path, 'must be an absolute path')];
  }
  if (!path.startsWith('/')) return [invalid(field, path, 'must be an absolute path')];
  const causes = badSequences
    .filter((part) => path.includes(part))
    .map((part) => invalid(field, path, `must not contain '${part}'`));
  const ends = badSuffixes.filter((end) => path.endsWith(end));
  return [...causes, ...ends.map((end) => invalid(field, path, `cannot end with '${end}'`))];
}

function validateBackend(backend: IngressBackend | undefined, field: string): Cause[] {
  const { service, resource } = backend ?? {};
  if (service && resource) return [invalid(field, '', 'cannot set both resource and service backends')];
  if (resource) {
    const missing = (['kind', 'name'] as const).filter((part) => !resource[part]);
    return missing.map((part) => required(`${field}.resource.${part}`));
  }
  if (!service) return [required(field, 'must specify a service or resource backend')];
  const { name, port } = service;
  const causes = name
    ? invalidFor(`${field}.service.name`, name, dns1035Problems(name))
    : [required(`${field}.service.name`)];
  const at = `${field}.service.port`;
  if (port?.name && port.number) return [...causes, invalid(field, '', 'cannot set both port name & port number')];
  if (port?.name) return [...causes, ...invalidFor(`${at}.name`, port.name, portNameProblems(port.name))];
  if (port?.number) return [...causes, ...invalidFor(`${at}.number`, port.number, portNumberProblems(port.number))];
  return [...causes, required(field, 'port name or number is required')];
}
