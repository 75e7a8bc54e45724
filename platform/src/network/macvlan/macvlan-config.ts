/** Which wire Pods of the network mode macvlan are put on, and the CNI configuration that says so. Pure. */
import { SampanError } from '@sampan/api/errors.ts';
import { contains, formatAddress, formatSubnet, parseAddress, type Subnet, sizeOf } from '../bridge/subnet.ts';

export interface MacvlanOptions {
  /** Device of the host whose wire it is. */
  parent: string;
  subnet: Subnet;
  /** The addresses of that wire that Pods may have, both ends included. */
  first: number;
  last: number;
  /** Absent: Pods reach their own wire alone. */
  gateway?: number;
}

export const macvlanForm =
  'PARENT,FIRST-LAST/LENGTH[,GATEWAY], such as eth1,192.168.7.100-192.168.7.150/24,192.168.7.1';

/** Throws Invalid naming the text and what is wrong in it. */
export function parseMacvlan(text: string): MacvlanOptions {
  const refuse = (why: string): never => {
    throw new SampanError('Invalid', `macvlan "${text.slice(0, 200)}": ${why}; wanted ${macvlanForm}`);
  };
  const [parent = '', range = '', gatewayText, ...more] = text.split(',');
  const parts = /^([\d.]+)-([\d.]+)\/(\d{1,2})$/.exec(range);
  if (more.length > 0 || !parts) return refuse('it is not of that form');
  if (!/^[^\s/:,]{1,15}$/.test(parent)) refuse('the parent is no name of a device');
  const prefixLength = Number(parts[3]);
  if (prefixLength < 8 || prefixLength > 30) refuse('the length is not from 8 to 30');
  const [first, last] = [parseAddress(parts[1]!), parseAddress(parts[2]!)];
  const subnet = { base: first - (first % sizeOf(prefixLength)), prefixLength };
  const gateway = gatewayText === undefined ? undefined : parseAddress(gatewayText);
  if (first > last) refuse('the first address comes after the last');
  for (const address of [first, last, ...(gateway === undefined ? [] : [gateway])])
    if (!contains(subnet, address)) refuse(`${formatAddress(address)} is not in ${formatSubnet(subnet)}`);
  if (gateway !== undefined && gateway >= first && gateway <= last) refuse('the gateway is one of the addresses');
  return { parent, subnet, first, last, ...(gateway === undefined ? {} : { gateway }) };
}

/** `dataDirectory`: where host-local remembers which addresses are taken. */
export function macvlanChain({ parent, subnet, first, last, gateway }: MacvlanOptions, dataDirectory: string): object {
  const range = { subnet: formatSubnet(subnet), rangeStart: formatAddress(first), rangeEnd: formatAddress(last) };
  return {
    cniVersion: '1.0.0',
    name: 'sampan-macvlan',
    plugins: [
      {
        ...{ type: 'macvlan', master: parent, mode: 'bridge' },
        ipam: {
          ...{ type: 'host-local', dataDir: dataDirectory },
          ranges: [[{ ...range, ...(gateway === undefined ? {} : { gateway: formatAddress(gateway) }) }]],
          ...(gateway === undefined ? {} : { routes: [{ dst: '0.0.0.0/0' }] }),
        },
      },
    ],
  };
}
