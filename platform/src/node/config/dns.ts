/** dnsPolicy and dnsConfig as CRI's DNSConfig. Empty `servers` mean: the resolver of the network the Pod is attached to. */
import type { Pod } from 'kubernetes-types/core/v1.js';
import type * as cri from '../../runtime/generated/cri.ts';
import { clusterDomain } from './hostname.ts';

export interface ResolvConf {
  servers: string[];
  searches: string[];
  options: string[];
}

/** The kernel's resolvers read no more (kubelet's limits). */
const maxServers = 3;
const maxSearches = 32;

/** Whether the network's resolver stands before those the Pod names: which one it is only the network knows, when the Pod is attached. */
export const clusterFirst = (pod: Pod): boolean =>
  !['None', 'Default'].includes(policyOf(pod)) && (pod.spec?.dnsConfig?.nameservers ?? []).length > 0;

const policyOf = ({ spec }: Pod): string =>
  spec?.dnsPolicy === 'ClusterFirst' && spec.hostNetwork ? 'Default' : (spec?.dnsPolicy ?? 'ClusterFirst');

/** `host` is the node's own resolv.conf, for dnsPolicy Default. */
export function podDns(pod: Pod, host: ResolvConf): cri.DNSConfig {
  const { dnsConfig } = pod.spec ?? {};
  const policy = policyOf(pod);
  const base = baseOf(policy, pod.metadata?.namespace ?? '', host);
  const own = (dnsConfig?.options ?? []).map(({ name, value }) => (value ? `${name}:${value}` : (name ?? '')));
  return {
    servers: unique([...base.servers, ...(dnsConfig?.nameservers ?? [])]).slice(0, maxServers),
    searches: unique([...base.searches, ...(dnsConfig?.searches ?? [])]).slice(0, maxSearches),
    options: mergeOptions(base.options, own),
  };
}

function baseOf(policy: string, namespace: string, host: ResolvConf): ResolvConf {
  if (policy === 'None') return { servers: [], searches: [], options: [] };
  if (policy === 'Default') return host;
  const searches = [`${namespace}.svc.${clusterDomain}`, `svc.${clusterDomain}`, clusterDomain, ...host.searches];
  return { servers: [], searches, options: ['ndots:5'] };
}

/** An option of the Pod's own replaces one of the same name. */
function mergeOptions(base: string[], own: string[]): string[] {
  const names = own.map((option) => option.split(':')[0]);
  return [...base.filter((option) => !names.includes(option.split(':')[0])), ...own];
}

const unique = (values: string[]): string[] => [...new Set(values)];

/** A resolver on the host's loopback cannot be reached from inside a machine: it is left out. */
export function parseResolvConf(text: string): ResolvConf {
  const result: ResolvConf = { servers: [], searches: [], options: [] };
  for (const line of text.split('\n')) {
    const [keyword, ...values] = line.trim().split(/\s+/);
    if (keyword === 'nameserver' && values[0] && !/^(127\.|::1$)/.test(values[0])) result.servers.push(values[0]);
    if (keyword === 'search' || keyword === 'domain') result.searches = values;
    if (keyword === 'options') result.options.push(...values);
  }
  return result;
}
