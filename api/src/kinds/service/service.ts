/**
 * Service: a name and an address for a set of Pods. Addresses and node ports are chosen by admission (apiserver/admission/service-addresses),
 * held as claims; this build does not carry traffic to them yet.
 */
import type { Service } from 'kubernetes-types/core/v1.js';
import { resources } from '../../client.ts';
import { dns1035Problems } from '../../names.ts';
import { ageCell, ageColumn, column, nameCell, nameColumn } from '../columns.ts';
import { defineKind, splitSpecAndStatus } from '../define.ts';
import { carryAllocations, dropWhatTypeLost } from './carry.ts';
import { applyServiceDefaults } from './defaults.ts';
import { validateService } from './validate.ts';
import { validateServiceUpdate } from './validate-update.ts';

export const serviceKind = defineKind<Service>({
  ref: resources.services,
  kind: 'Service',
  showsDeleted: true,
  shortNames: ['svc'],
  categories: ['all'],
  subresources: ['status'],
  selectableFields: {
    'spec.clusterIP': (service) => service.spec?.clusterIP ?? '',
    'spec.type': (service) => service.spec?.type ?? '',
  },
  columns: [
    nameColumn,
    column('Type', 'How the Service is reached.'),
    column('Cluster-IP', 'Address within the cluster.'),
    column('External-IP', 'Addresses from outside.'),
    column('Port(s)', 'Ports and their protocols.'),
    ageColumn,
    column('Selector', 'Labels of the Pods behind it.', { wide: true }),
  ],
  row: (service, nowMs) => [
    nameCell(service),
    service.spec?.type ?? '',
    service.spec?.clusterIP || '<none>',
    externalAddress(service),
    portsOf(service),
    ageCell(service, nowMs),
    selectorOf(service),
  ],
  nameProblems: dns1035Problems,
  defaults: applyServiceDefaults,
  prepareCreate(service) {
    Object.assign(service, { status: { loadBalancer: {} } });
  },
  prepareUpdate(service, old, target) {
    splitSpecAndStatus(service, old, target);
    if (target === 'status') return;
    carryAllocations(service, old);
    dropWhatTypeLost(service, old);
  },
  validate: validateService,
  validateUpdate: (service, old) => [...validateServiceUpdate(service, old), ...validateService(service)],
  claims: serviceClaims,
});

/** Its addresses (Pods find it there) and node ports (one number is one Service's on every node, whatever the protocol). */
function serviceClaims({ spec }: Service): string[] {
  const addresses = (spec?.clusterIPs ?? []).filter((address) => address !== '' && address !== 'None');
  const numbers = [...(spec?.ports ?? []).map((port) => port.nodePort ?? 0), spec?.healthCheckNodePort ?? 0];
  const claims = [
    ...addresses.map((address) => `service-addresses/${address}`),
    ...numbers.filter((port) => port > 0).map((port) => `node-ports/${port}`),
  ];
  return [...new Set(claims)];
}

function externalAddress({ spec, status }: Service): string {
  if (spec?.type === 'ExternalName') return spec.externalName || '<none>';
  const own = spec?.externalIPs ?? [];
  if (spec?.type !== 'LoadBalancer') return own.join(',') || '<none>';
  const balancer = (status?.loadBalancer?.ingress ?? [])
    .map(({ ip, hostname }) => ip || hostname || '')
    .filter(Boolean);
  return [...balancer, ...own].join(',') || '<pending>';
}

function portsOf({ spec }: Service): string {
  const cells = (spec?.ports ?? []).map(({ port, nodePort, protocol }) =>
    nodePort ? `${port}:${nodePort}/${protocol ?? ''}` : `${port}/${protocol ?? ''}`,
  );
  return cells.join(',') || '<none>';
}

function selectorOf({ spec }: Service): string {
  const labels = Object.entries(spec?.selector ?? {}).map(([key, value]) => `${key}=${value}`);
  return labels.sort().join(',') || '<none>';
}
