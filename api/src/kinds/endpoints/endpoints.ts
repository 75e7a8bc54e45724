/** Endpoints: the addresses of one Service in one object, as clients older than EndpointSlice read them. */
import type { EndpointAddress, EndpointSubset, Endpoints } from 'kubernetes-types/core/v1.js';
import { resources } from '../../client.ts';
import type { Cause } from '../../errors.ts';
import { invalidFor, required } from '../../field-errors.ts';
import { dnsLabelProblems, dnsSubdomainProblems } from '../../names.ts';
import { ageCell, ageColumn, column, nameCell, nameColumn } from '../columns.ts';
import { defineKind } from '../define.ts';
import { validateEndpointAddress } from './addresses.ts';
import { validateEndpointPorts } from './endpoint-port.ts';

/** How many addresses a cell shows. */
const shown = 3;

export const endpointsKind = defineKind<Endpoints>({
  ref: resources.endpoints,
  kind: 'Endpoints',
  shortNames: ['ep'],
  columns: [nameColumn, column('Endpoints', 'Addresses and ports that are ready.'), ageColumn],
  row: (endpoints, nowMs) => [nameCell(endpoints), addressesOf(endpoints.subsets ?? []), ageCell(endpoints, nowMs)],
  defaults(endpoints) {
    for (const subset of endpoints.subsets ?? []) for (const port of subset.ports ?? []) port.protocol ||= 'TCP';
  },
  validate: ({ subsets = [] }) => subsets.flatMap((subset, i) => validateSubset(subset, `subsets[${i}]`)),
});

function addressesOf(subsets: EndpointSubset[]): string {
  const all = subsets.flatMap(({ addresses = [], ports = [] }) =>
    ports.length === 0
      ? addresses.map(({ ip }) => ip)
      : ports.flatMap(({ port }) =>
          addresses.map(({ ip }) => (ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`)),
        ),
  );
  if (all.length === 0) return '<none>';
  const more = all.length > shown ? ` + ${all.length - shown} more...` : '';
  return all.slice(0, shown).join(',') + more;
}

function validateSubset(subset: EndpointSubset, field: string): Cause[] {
  const { addresses = [], notReadyAddresses = [], ports = [] } = subset;
  if (addresses.length + notReadyAddresses.length === 0) {
    return [required(field, 'must specify `addresses` or `notReadyAddresses`')];
  }
  return [
    ...addresses.flatMap((address, i) => validateAddress(address, `${field}.addresses[${i}]`)),
    ...notReadyAddresses.flatMap((address, i) => validateAddress(address, `${field}.notReadyAddresses[${i}]`)),
    ...validateEndpointPorts(ports, `${field}.ports`, false),
  ];
}

function validateAddress({ ip, hostname, nodeName }: EndpointAddress, field: string): Cause[] {
  return [
    ...validateEndpointAddress(ip, `${field}.ip`),
    ...(hostname ? invalidFor(`${field}.hostname`, hostname, dnsLabelProblems(hostname)) : []),
    ...(nodeName ? invalidFor(`${field}.nodeName`, nodeName, dnsSubdomainProblems(nodeName)) : []),
  ];
}
