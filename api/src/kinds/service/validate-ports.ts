/** Ports of a Service: present, in range, and told apart by name and by number with protocol. */
import type { ServicePort, ServiceSpec } from 'kubernetes-types/core/v1.js';
import type { Cause } from '../../errors.ts';
import { checkEnum, duplicate, forbidden, invalidFor, required } from '../../field-errors.ts';
import { dnsLabelProblems, portNameProblems, portNumberProblems, qualifiedNameProblems } from '../../names.ts';
import { isHeadless, isReachedFromOutside } from './defaults.ts';

export const protocols = ['SCTP', 'TCP', 'UDP'];

export function validateServicePorts(spec: ServiceSpec): Cause[] {
  const { ports = [], type } = spec;
  const field = 'spec.ports';
  if (ports.length === 0 && !isHeadless(spec) && type !== 'ExternalName') return [required(field)];
  const causes: Cause[] = [];
  const seen = { names: new Set<string>(), ports: new Set<string>(), nodePorts: new Set<string>() };
  for (const [i, port] of ports.entries()) {
    const at = `${field}[${i}]`;
    causes.push(...validatePort(port, at, ports.length > 1));
    if (port.name && seen.names.has(port.name)) causes.push(duplicate(`${at}.name`, port.name));
    seen.names.add(port.name ?? '');
    const identity = `${port.protocol}/${port.port}`;
    if (seen.ports.has(identity)) causes.push(duplicate(at, { protocol: port.protocol, port: port.port }));
    seen.ports.add(identity);
    if (!port.nodePort) continue;
    if (!isReachedFromOutside(spec)) {
      causes.push(forbidden(`${at}.nodePort`, `may not be used when \`type\` is '${type}'`));
    }
    const node = `${port.protocol}/${port.nodePort}`;
    if (seen.nodePorts.has(node)) causes.push(duplicate(`${at}.nodePort`, port.nodePort));
    seen.nodePorts.add(node);
  }
  return causes;
}

function validatePort(port: ServicePort, field: string, mustBeNamed: boolean): Cause[] {
  const { name, targetPort, appProtocol } = port;
  const causes: Cause[] = [];
  if (!name) {
    if (mustBeNamed) causes.push(required(`${field}.name`));
  } else causes.push(...invalidFor(`${field}.name`, name, dnsLabelProblems(name)));
  causes.push(...invalidFor(`${field}.port`, port.port, portNumberProblems(port.port)));
  causes.push(...checkEnum(`${field}.protocol`, port.protocol, protocols));
  const problems = typeof targetPort === 'string' ? portNameProblems(targetPort) : portNumberProblems(targetPort ?? 0);
  causes.push(...invalidFor(`${field}.targetPort`, targetPort, problems));
  if (appProtocol) causes.push(...invalidFor(`${field}.appProtocol`, appProtocol, qualifiedNameProblems(appProtocol)));
  return causes;
}
