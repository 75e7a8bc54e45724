/** A port of Endpoints and EndpointSlices, which are checked nearly alike. */
import type { Cause } from '../../errors.ts';
import { checkEnum, duplicate, invalidFor, required } from '../../field-errors.ts';
import { dnsLabelProblems, portNumberProblems, qualifiedNameProblems } from '../../names.ts';
import { protocols } from '../service/validate-ports.ts';

export interface EndpointPort {
  name?: string;
  port?: number;
  protocol?: string;
  appProtocol?: string;
}

/** In a slice names must differ and a port without a number is all ports; in Endpoints more than one port needs names. */
export function validateEndpointPorts(ports: EndpointPort[], field: string, isSlice: boolean): Cause[] {
  const causes: Cause[] = [];
  const names = new Set<string>();
  for (const [i, { name = '', port, protocol, appProtocol }] of ports.entries()) {
    const at = `${field}[${i}]`;
    if (name) causes.push(...invalidFor(`${at}.name`, name, dnsLabelProblems(name)));
    else if (!isSlice && ports.length > 1) causes.push(required(`${at}.name`));
    if (isSlice && names.has(name)) causes.push(duplicate(`${at}.name`, name));
    names.add(name);
    if (port !== undefined || !isSlice)
      causes.push(...invalidFor(`${at}.port`, port ?? 0, portNumberProblems(port ?? 0)));
    causes.push(...checkEnum(`${at}.protocol`, protocol, protocols));
    if (appProtocol) causes.push(...invalidFor(`${at}.appProtocol`, appProtocol, qualifiedNameProblems(appProtocol)));
  }
  return causes;
}
