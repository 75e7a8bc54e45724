/** Variables by which a container finds a Service: kubelet's envvars.FromServices, in the manner of Docker's links. Pure. */
import type { Service } from 'kubernetes-types/core/v1.js';

export interface Target {
  /** The Service's name. */
  name: string;
  address: string;
  ports: { name?: string; port: number; protocol?: string }[];
}

export function serviceVariables({ name, address, ports }: Target): [string, string][] {
  const [first] = ports;
  if (!first) return [];
  const upper = name.toUpperCase().replaceAll('-', '_');
  const url = ({ port, protocol = 'TCP' }: Target['ports'][number]) =>
    `${protocol.toLowerCase()}://${address.includes(':') ? `[${address}]` : address}:${port}`;
  const variables: [string, string][] = [
    [`${upper}_SERVICE_HOST`, address],
    [`${upper}_SERVICE_PORT`, String(first.port)],
  ];
  for (const port of ports) {
    const portName = port.name?.toUpperCase().replaceAll('-', '_');
    if (portName) variables.push([`${upper}_SERVICE_PORT_${portName}`, String(port.port)]);
  }
  variables.push([`${upper}_PORT`, url(first)]);
  for (const port of ports) {
    const { protocol = 'TCP' } = port;
    const prefix = `${upper}_PORT_${port.port}_${protocol}`;
    variables.push([prefix, url(port)]);
    variables.push([`${prefix}_PROTO`, protocol.toLowerCase()]);
    variables.push([`${prefix}_PORT`, String(port.port)]);
    variables.push([`${prefix}_ADDR`, address]);
  }
  return variables;
}

/** Of all Services of a Pod's namespace that have an address; `kubernetes` is told of by its own rule. */
export function linkedServices(services: readonly Service[]): [string, string][] {
  return services.flatMap(({ metadata, spec }) => {
    const { clusterIP: address = '', ports = [] } = spec ?? {};
    const { name = '', namespace } = metadata ?? {};
    if (!address || address === 'None' || (name === 'kubernetes' && namespace === 'default')) return [];
    return serviceVariables({ name, address, ports });
  });
}
