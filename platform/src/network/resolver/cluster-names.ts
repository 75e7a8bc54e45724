/** The names this resolver answers itself: those of the cluster domain, after Kubernetes' DNS specification 1.1. Pure. */
import type { Answer } from 'dns-packet';
import { type Query, type Reply, rcodes, recordTypes } from './message.ts';

export interface ClusterNames {
  /** Such as cluster.local; lower case, no dot at either end. */
  clusterDomain: string;
  /** What kubernetes.default.svc is: the API server as Pods reach it. */
  gateway: string;
  /** Does a Pod of this namespace have this address? */
  isPod(address: string, namespace: string): boolean;
  /** Is this address in the Pod network, so that nobody outside can name it? */
  ownsReverse(address: string): boolean;
  /** Addresses of any other name in the cluster domain. */
  lookup(name: string): string[] | undefined;
}

const ttlSeconds = 5;

/** The reply to a name of ours; undefined: ask the host's resolvers. */
export function answerClusterName(query: Query, names: ClusterNames): Reply | undefined {
  const reversed = reverseAddress(query.name);
  if (reversed && names.ownsReverse(reversed)) return negative(names, rcodes.nameError);
  const domain = names.clusterDomain;
  if (query.name !== domain && !query.name.endsWith(`.${domain}`)) return undefined;
  const addresses = query.name === domain ? [] : addressesOf(query.name, names);
  if (!addresses) return negative(names, rcodes.nameError);
  const wanted = query.class === 1 && (query.type === recordTypes.a || query.type === recordTypes.any);
  // The name exists but has no record of this type (AAAA): NXDOMAIN here would make resolvers give up on the A record as well.
  if (!wanted || addresses.length === 0) return negative(names, rcodes.noError);
  const answers = addresses.map((data): Answer => ({ type: 'A', name: query.name, ttl: ttlSeconds, data }));
  return { rcode: rcodes.noError, authoritative: true, answers };
}

function addressesOf(name: string, names: ClusterNames): string[] | undefined {
  const relative = name.slice(0, -names.clusterDomain.length - 1);
  if (relative === 'kubernetes.default.svc') return [names.gateway];
  const pod = /^(\d{1,3}-\d{1,3}-\d{1,3}-\d{1,3})\.([a-z0-9-]{1,63})\.pod$/.exec(relative);
  if (pod) {
    const address = pod[1]!.replaceAll('-', '.');
    return isAddress(address) && names.isPod(address, pod[2]!) ? [address] : undefined;
  }
  return names.lookup(name)?.filter(isAddress) ?? (isBranch(relative) ? [] : undefined);
}

/** Names that exist only because others lie below them. */
const isBranch = (relative: string) => ['svc', 'pod', 'default.svc'].includes(relative);

const isAddress = (text: string) =>
  /^(\d{1,3}\.){3}\d{1,3}$/.test(text) && text.split('.').every((part) => Number(part) < 256);

function reverseAddress(name: string): string | undefined {
  const match = /^((?:\d{1,3}\.){4})in-addr\.arpa$/.exec(name);
  const address = match ? match[1]!.split('.').slice(0, 4).reverse().join('.') : '';
  return isAddress(address) ? address : undefined;
}

/** RFC 2308: the SOA says for how long the absence may be remembered. */
function negative({ clusterDomain }: ClusterNames, rcode: Reply['rcode']): Reply {
  const soa: Answer = {
    type: 'SOA',
    name: clusterDomain,
    ttl: ttlSeconds,
    data: {
      mname: `ns.dns.${clusterDomain}`,
      rname: `hostmaster.${clusterDomain}`,
      serial: 1,
      refresh: 7200,
      retry: 1800,
      expire: 86400,
      minimum: ttlSeconds,
    },
  };
  return { rcode, authoritative: true, authorities: [soa] };
}
