/**
 * A machine in the place of an interface that somebody else (containerd's CNI, Podman) has put into a network namespace: a tap beside it, and its
 * addresses as they are found there. Owns the tap alone, which goes with the namespace; the namespace is its maker's.
 */
import { SampanError } from '@sampan/api/errors.ts';
import { z } from 'zod';
import { run } from '../../base/child.ts';
import { systemClock } from '../../base/clock.ts';
import { checkNetnsPath } from '../netns.ts';
import type { Attachment, InterfaceAddress, Route } from '../network.ts';
import { settleGateway } from './settle-gateway.ts';
import { makeTapBeside, tapDevice } from './tap-beside.ts';

const linksSchema = z
  .array(
    z.looseObject({
      ifname: z.string().max(15),
      link_type: z.string(),
      addr_info: z
        .array(
          z.looseObject({
            family: z.string(),
            local: z.string().max(64),
            prefixlen: z.number().int(),
            scope: z.string(),
          }),
        )
        .max(256)
        .optional(),
    }),
  )
  .max(256);

const routesSchema = z
  .array(
    z.looseObject({
      dst: z.string().max(64),
      dev: z.string().optional(),
      gateway: z.string().max(64).optional(),
      protocol: z.string().optional(),
    }),
  )
  .max(1024);

/** Throws FailedPrecondition when there is no interface with an IPv4 address. Idempotent. */
export async function joinNetns(sandboxId: string, netnsPath: string): Promise<Attachment> {
  checkNetnsPath(netnsPath);
  const links = linksSchema.parse(await ask(netnsPath, ['-j', 'address', 'show']));
  const candidates = links.filter(({ ifname, link_type }) => link_type === 'ether' && ifname !== tapDevice);
  const device = candidates.find(({ ifname }) => ifname === 'eth0') ?? candidates[0];
  if (!device) throw new SampanError('FailedPrecondition', `there is no network interface in ${netnsPath}`);
  const routes = [
    ...routesSchema.parse(await ask(netnsPath, ['-4', '-j', 'route', 'show', 'dev', device.ifname])),
    ...routesSchema.parse(await ask(netnsPath, ['-6', '-j', 'route', 'show', 'dev', device.ifname])),
  ];
  const found = addressesOf(device, routes);
  if (!found.ipv4)
    throw new SampanError(
      'FailedPrecondition',
      `${device.ifname} in ${netnsPath} has no IPv4 address; a machine needs one`,
    );
  const gateway = found.ipv6?.gateway;
  const [link] = await Promise.all([
    makeTapBeside(netnsPath, device.ifname),
    // One that stays unusable is its maker's: the machine has IPv4 as well.
    gateway && settleGateway(gateway, systemClock),
  ]);
  return { sandboxId, tapName: tapDevice, netnsPath, ...link, ...found, ipv4: found.ipv4, nameservers: [] };
}

/** Pure. */
export function addressesOf(
  device: z.infer<typeof linksSchema>[number],
  routes: z.infer<typeof routesSchema>,
): Pick<Attachment, 'ipv6' | 'moreAddresses' | 'routes'> & { ipv4?: InterfaceAddress } {
  const all = (device.addr_info ?? []).filter(({ scope }) => scope === 'global');
  const gatewayOf = (six: boolean) =>
    routes.find(({ dst, gateway }) => dst === 'default' && gateway?.includes(':') === six)?.gateway;
  const of = (family: string): InterfaceAddress | undefined => {
    const first = all.find((one) => one.family === family);
    const gateway = gatewayOf(family === 'inet6');
    return first && { address: first.local, prefixLength: first.prefixlen, ...(gateway ? { gateway } : {}) };
  };
  const [ipv4, ipv6] = [of('inet'), of('inet6')];
  return {
    ...(ipv4 ? { ipv4 } : {}),
    ...(ipv6 ? { ipv6 } : {}),
    moreAddresses: all
      .filter(({ local }) => local !== ipv4?.address && local !== ipv6?.address)
      .map(({ local, prefixlen }) => ({ address: local, prefixLength: prefixlen })),
    routes: routes
      .filter(isOwn)
      .map(({ dst, gateway }): Route => ({ destination: withLength(dst), ...(gateway ? { gateway } : {}) })),
  };
}

/** What the kernel makes of the addresses by itself, the guest's kernel makes too. */
const isOwn = ({ dst, protocol }: { dst: string; protocol?: string | undefined }): boolean =>
  dst !== 'default' && protocol !== 'kernel' && !dst.startsWith('fe80:') && !dst.startsWith('ff00:');

const withLength = (dst: string): string => (dst.includes('/') ? dst : `${dst}/${dst.includes(':') ? 128 : 32}`);

const ask = async (netnsPath: string, words: string[]): Promise<unknown> =>
  JSON.parse((await run('nsenter', [`--net=${netnsPath}`, 'ip', ...words])).stdout || '[]');
