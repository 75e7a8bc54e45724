/**
 * Chooses what a Service needs and did not ask for by name: its cluster address and its node ports. What it did ask for is checked against
 * what others have. That nobody else takes the same meanwhile is the claims' business (verbs/claims.ts): a lost race chooses anew.
 *
 * The lower part of each range is left to those who ask for a certain number (KEP-3070, KEP-3668).
 */
import { randomInt } from 'node:crypto';
import { resources } from '@sampan/api/client.ts';
import { SampanError } from '@sampan/api/errors.ts';
import { invalid as invalidValue } from '@sampan/api/field-errors.ts';
import { carryAllocations, dropWhatTypeLost } from '@sampan/api/kinds/service/carry.ts';
import { hasAddress, isReachedFromOutside } from '@sampan/api/kinds/service/defaults.ts';
import type { Service } from 'kubernetes-types/core/v1.js';
import { invalid } from '../meta/failures.ts';
import type { AdmissionPlugin, AdmissionReader, AdmissionRequest } from './admission.ts';
import { addressAt, addressNumber, isIn, parseIpv4Range } from './ipv4-range.ts';

export interface ServiceNetwork {
  /** Default 10.96.0.0/16. */
  cidr?: string;
  /** Addresses beside the range that a Service may have when it asks: where Pods reach the API server. */
  others?: string[];
  /** First and last; default 30000 to 32767. */
  nodePorts?: [number, number];
}

export function serviceAddresses({ cidr, others = [], nodePorts }: ServiceNetwork = {}): AdmissionPlugin {
  const range = parseIpv4Range(cidr ?? '10.96.0.0/16');
  const [firstPort, lastPort] = nodePorts ?? [30_000, 32_767];
  return {
    name: 'ServiceAddresses',
    mutate(request) {
      const service = writtenService(request);
      if (!service?.spec) return;
      const { spec } = service;
      const taken = takenByOthers(request);
      if (hasAddress(spec)) giveAddress(request, spec, taken);
      if (isReachedFromOutside(spec)) givePorts(request, service, taken);
    },
  };

  function giveAddress(request: AdmissionRequest, spec: NonNullable<Service['spec']>, taken: Taken): void {
    const wanted = spec.clusterIPs?.[0] || spec.clusterIP;
    if (wanted === 'None') return;
    if (!wanted) {
      const offset = choose({ size: range.size - 2, isFree: (at) => !taken.addresses.has(addressAt(range, at + 1)) });
      if (offset === undefined) throw full(request, 'spec.clusterIPs', 'IP', 'range is full');
      spec.clusterIP = addressAt(range, offset + 1);
      spec.clusterIPs = [spec.clusterIP];
      return;
    }
    // What is no address at all, validation says better.
    if (addressNumber(wanted) === undefined || hadBefore(request, wanted)) return;
    const problem = taken.addresses.has(wanted)
      ? 'provided IP is already allocated'
      : `the provided IP (${wanted}) is not in the valid range. The range of valid IPs is ${range.cidr}`;
    if (!taken.addresses.has(wanted) && (isIn(range, wanted) || others.includes(wanted))) return;
    throw refuse(request, 'spec.clusterIPs', [wanted], `failed to allocate IP ${wanted}: ${problem}`);
  }

  function givePorts(request: AdmissionRequest, { spec }: Service, taken: Taken): void {
    if (spec?.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts === false) return;
    const own = new Set((request.old as Service | undefined)?.spec?.ports?.map((port) => port.nodePort));
    const given = new Set<number>();
    for (const [i, port] of (spec?.ports ?? []).entries()) {
      const field = `spec.ports[${i}].nodePort`;
      if (port.nodePort) {
        const outside = port.nodePort < firstPort || port.nodePort > lastPort;
        if (taken.ports.has(port.nodePort)) {
          throw refuse(request, field, port.nodePort, 'provided port is already allocated');
        }
        if (outside && !own.has(port.nodePort)) {
          const valid = `The range of valid ports is ${firstPort}-${lastPort}`;
          throw refuse(request, field, port.nodePort, `provided port is not in the valid range. ${valid}`);
        }
      } else {
        const isFree = (at: number) => !taken.ports.has(firstPort + at) && !given.has(firstPort + at);
        const offset = choose({ size: lastPort - firstPort + 1, isFree });
        if (offset === undefined) throw full(request, field, 'nodePort', 'range is full');
        port.nodePort = firstPort + offset;
      }
      given.add(port.nodePort);
    }
  }
}

/** The Service that a create or a whole update is about to write, with what it keeps of the old one already in it. */
function writtenService({ kind, subresource, operation, object, old }: AdmissionRequest): Service | undefined {
  if (kind.ref.group !== '' || kind.ref.resource !== resources.services.resource || subresource !== '')
    return undefined;
  if (operation !== 'CREATE' && operation !== 'UPDATE') return undefined;
  const service = object as Service;
  if (old) {
    carryAllocations(service, old as Service);
    dropWhatTypeLost(service, old as Service);
  }
  return service;
}

interface Taken {
  addresses: Set<string>;
  ports: Set<number>;
}

function takenByOthers({ reader, namespace, name }: { reader: AdmissionReader } & AdmissionRequest): Taken {
  const taken: Taken = { addresses: new Set(), ports: new Set() };
  for (const object of reader.list(resources.services)) {
    const { metadata, spec } = object as unknown as Service;
    if (metadata?.name === name && metadata?.namespace === namespace) continue;
    for (const address of spec?.clusterIPs ?? []) taken.addresses.add(address);
    for (const { nodePort } of spec?.ports ?? []) if (nodePort) taken.ports.add(nodePort);
    if (spec?.healthCheckNodePort) taken.ports.add(spec.healthCheckNodePort);
  }
  return taken;
}

function hadBefore({ old }: AdmissionRequest, address: string): boolean {
  return (old as Service | undefined)?.spec?.clusterIPs?.includes(address) ?? false;
}

/** A free offset: at random above the part that is left for those who ask, then below; undefined when all are taken. */
function choose({ size, isFree }: { size: number; isFree: (offset: number) => boolean }): number | undefined {
  const reserved = size < 16 ? 0 : Math.min(Math.max(16, Math.floor(size / 16)), 256);
  return search(reserved, size, isFree) ?? search(0, reserved, isFree);
}

function search(from: number, to: number, isFree: (offset: number) => boolean): number | undefined {
  if (to <= from) return undefined;
  const start = randomInt(from, to);
  for (let step = 0; step < to - from; step++) {
    const offset = from + ((start - from + step) % (to - from));
    if (isFree(offset)) return offset;
  }
  return undefined;
}

function refuse(request: AdmissionRequest, field: string, value: unknown, detail: string): SampanError {
  return invalid({ group: '', kind: 'Service' }, request.name, [invalidValue(field, value, detail)]);
}

function full({ name }: AdmissionRequest, field: string, what: string, why: string): SampanError {
  return new SampanError('InternalError', `Service "${name}": ${field}: failed to allocate a ${what}: ${why}`);
}
