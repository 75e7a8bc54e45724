/** EndpointSlice: up to a thousand of a Service's endpoints, of one family of addresses (KEP-752). */
import type { Endpoint, EndpointSlice } from 'kubernetes-types/discovery/v1.js';
import { resources } from '../../client.ts';
import type { Cause } from '../../errors.ts';
import { checkEnum, duplicate, invalid, invalidFor, required, tooMany } from '../../field-errors.ts';
import { equalJson } from '../../json.ts';
import { dnsLabelProblems, dnsSubdomainProblems, isIpAddress, isIpv6 } from '../../names.ts';
import { ageCell, ageColumn, column, nameCell, nameColumn } from '../columns.ts';
import { defineKind } from '../define.ts';
import { validateImmutable } from '../metadata.ts';
import { validateEndpointAddress } from './addresses.ts';
import { validateEndpointPorts } from './endpoint-port.ts';

const addressTypes = ['FQDN', 'IPv4', 'IPv6'];
const maxEndpoints = 1000;
const maxAddresses = 100;
const maxPorts = 100;
/** How many addresses or ports a cell shows. */
const shown = 3;

export const endpointSliceKind = defineKind<EndpointSlice>({
  ref: resources.endpointslices,
  kind: 'EndpointSlice',
  columns: [
    nameColumn,
    column('AddressType', 'Kind of its addresses.'),
    column('Ports', 'Ports of each endpoint.'),
    column('Endpoints', 'Addresses of the endpoints.'),
    ageColumn,
  ],
  row: (slice, nowMs) => [
    nameCell(slice),
    slice.addressType ?? '',
    cell(
      (slice.ports ?? []).map(({ port }) => String(port ?? '*')),
      '<unset>',
    ),
    cell((slice.endpoints ?? []).flatMap(({ addresses = [] }) => addresses)),
    ageCell(slice, nowMs),
  ],
  defaults(slice) {
    slice.endpoints ??= [];
    slice.ports ??= [];
    for (const port of slice.ports) {
      port.name ??= '';
      port.protocol ||= 'TCP';
    }
  },
  prepareCreate(slice) {
    Object.assign(slice.metadata ?? {}, { generation: 1 });
  },
  prepareUpdate(slice, old) {
    const same = equalJson(slice.endpoints, old.endpoints) && equalJson(slice.ports, old.ports);
    if (!same) Object.assign(slice.metadata ?? {}, { generation: (old.metadata?.generation ?? 0) + 1 });
  },
  validate: validateSlice,
  validateUpdate: (slice, old) => [
    ...validateSlice(slice),
    ...validateImmutable(slice.addressType, old.addressType, 'addressType'),
  ],
});

function cell(values: string[], none = '<unset>'): string {
  if (values.length === 0) return none;
  return values.slice(0, shown).join(',') + (values.length > shown ? ` + ${values.length - shown} more...` : '');
}

function validateSlice({ addressType, endpoints = [], ports = [] }: EndpointSlice): Cause[] {
  const causes = checkEnum('addressType', addressType, addressTypes);
  if (endpoints.length > maxEndpoints) causes.push(tooMany('endpoints', endpoints.length, maxEndpoints));
  else for (const [i, endpoint] of endpoints.entries()) causes.push(...validateEndpoint(endpoint, i, addressType));
  if (ports.length > maxPorts) causes.push(tooMany('ports', ports.length, maxPorts));
  else causes.push(...validateEndpointPorts(ports, 'ports', true));
  return causes;
}

function validateEndpoint(endpoint: Endpoint, i: number, type: string): Cause[] {
  const { addresses = [], hostname, nodeName } = endpoint;
  const field = `endpoints[${i}]`;
  const causes: Cause[] = [];
  if (addresses.length === 0) causes.push(required(`${field}.addresses`, 'must contain at least 1 address'));
  if (addresses.length > maxAddresses) causes.push(tooMany(`${field}.addresses`, addresses.length, maxAddresses));
  const seen = new Set<string>();
  for (const [j, address] of addresses.slice(0, maxAddresses).entries()) {
    const at = `${field}.addresses[${j}]`;
    if (seen.has(address)) causes.push(duplicate(at, address));
    seen.add(address);
    causes.push(...validateAddress(address, type, at));
  }
  if (hostname) causes.push(...invalidFor(`${field}.hostname`, hostname, dnsLabelProblems(hostname)));
  if (nodeName) causes.push(...invalidFor(`${field}.nodeName`, nodeName, dnsSubdomainProblems(nodeName)));
  return causes;
}

function validateAddress(address: string, type: string, field: string): Cause[] {
  if (type === 'FQDN') return invalidFor(field, address, dnsSubdomainProblems(address));
  if (!isIpAddress(address)) return validateEndpointAddress(address, field);
  const wanted = type === 'IPv6';
  if (addressTypes.includes(type) && isIpv6(address) !== wanted) {
    return [invalid(field, address, `must be an ${wanted ? 'IPv6' : 'IPv4'} address`)];
  }
  return validateEndpointAddress(address, field);
}
