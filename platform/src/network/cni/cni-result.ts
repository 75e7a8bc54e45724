/** What CNI plugins answer (specification 0.3.0 to 1.1.0, section 5), and what of it a Pod's interface becomes. Pure. */
import { isIPv6 } from 'node:net';
import { SampanError } from '@sampan/api/errors.ts';
import { z } from 'zod';
import type { InterfaceAddress, Route } from '../network.ts';

const text = z.string().max(1024);
const addressWithLength = z
  .string()
  .max(64)
  .regex(/^[0-9a-fA-F.:]+\/\d{1,3}$/, 'address/length');
const plainAddress = z
  .string()
  .max(64)
  .regex(/^[0-9a-fA-F.:]+$/, 'address');

/** Loose: what a plugin adds of its own goes on to the next one, and to DEL. */
export const resultSchema = z.looseObject({
  cniVersion: text.optional(),
  interfaces: z
    .array(z.looseObject({ name: text, mac: text.optional(), sandbox: text.optional() }))
    .max(64)
    .nullish(),
  ips: z
    .array(
      z.looseObject({
        address: addressWithLength,
        gateway: plainAddress.nullish(),
        interface: z.number().int().nonnegative().nullish(),
      }),
    )
    .max(64)
    .nullish(),
  routes: z
    .array(z.looseObject({ dst: addressWithLength, gw: plainAddress.nullish() }))
    .max(256)
    .nullish(),
  dns: z
    .looseObject({
      nameservers: z.array(plainAddress).max(16).nullish(),
      domain: text.nullish(),
      search: z.array(text).max(32).nullish(),
      options: z.array(text).max(32).nullish(),
    })
    .nullish(),
});

export type CniResult = z.infer<typeof resultSchema>;

export interface PodAddresses {
  ipv4: InterfaceAddress;
  ipv6?: InterfaceAddress;
  moreAddresses: { address: string; prefixLength: number }[];
  routes: Route[];
  dns: { nameservers: string[]; searches: string[]; options: string[] };
}

/** Throws Unsupported when there is no IPv4 address for the interface. */
export function podAddresses(result: CniResult, interfaceName: string): PodAddresses {
  const index = (result.interfaces ?? []).findIndex((one) => one.name === interfaceName && one.sandbox);
  const ours = (result.ips ?? [])
    // An address that names no interface is the sandbox's.
    .filter((ip) => ip.interface === undefined || ip.interface === null || ip.interface === index)
    .map(({ address }) => splitLength(address));
  const routes = (result.routes ?? []).map(({ dst, gw }) => ({ destination: dst, gateway: gw ?? undefined }));
  const family = (six: boolean): InterfaceAddress | undefined => {
    const first = ours.find(({ address }) => isIPv6(address) === six);
    return first && { ...first, gateway: defaultGateway(result, routes, six) };
  };
  const [ipv4, ipv6] = [family(false), family(true)];
  if (!ipv4)
    throw new SampanError('Unsupported', `the CNI network gave ${interfaceName} no IPv4 address; a Pod needs one`);
  return {
    ipv4,
    ...(ipv6 ? { ipv6 } : {}),
    moreAddresses: ours.filter(({ address }) => address !== ipv4.address && address !== ipv6?.address),
    routes: routes.filter(({ destination }) => !isDefault(destination)),
    dns: {
      nameservers: result.dns?.nameservers ?? [],
      searches: [...new Set([...(result.dns?.domain ? [result.dns.domain] : []), ...(result.dns?.search ?? [])])],
      options: result.dns?.options ?? [],
    },
  };
}

const isDefault = (destination: string): boolean => /\/0$/.test(destination);

/** A default route that names no gateway leads to that of the addresses (section 5). Without such a route there is none. */
function defaultGateway(result: CniResult, routes: Route[], six: boolean): string | undefined {
  const route = routes.find(({ destination }) => isDefault(destination) && destination.includes(':') === six);
  if (!route) return undefined;
  return (
    route.gateway ??
    result.ips?.find(({ address, gateway }) => gateway && address.includes(':') === six)?.gateway ??
    undefined
  );
}

function splitLength(text: string): { address: string; prefixLength: number } {
  const [address = '', length = ''] = text.split('/');
  return { address, prefixLength: Number(length) };
}
