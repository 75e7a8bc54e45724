/** What a guest is told when it begins to be a Pod: pure but for fresh entropy and the time. */
import { randomBytes } from 'node:crypto';
import type { Attachment } from '../../../network/network.ts';
import type { GuestNetwork, SandboxSetup } from '../../agent/agent.ts';
import { runtimeAnnotation } from '../../annotations.ts';
import * as cri from '../../generated/cri.ts';
import type { SandboxRecord } from '../../records/sandbox-record.ts';

export function sandboxSetup(record: SandboxRecord, hostname: string, nowNanos: bigint): SandboxSetup {
  const { config, network } = record;
  const pid = config.linux?.securityContext?.namespaceOptions?.pid;
  return {
    hostname,
    // Stable over restarts of the server, different for every Pod.
    machineId: record.id.slice(0, 32),
    entropy: randomBytes(64).toString('base64'),
    timeUnixNanos: nowNanos.toString(),
    ...(network ? { network: guestNetwork(network) } : {}),
    resolvConf: podResolvConf(config, network),
    sysctls: config.linux?.sysctls ?? {},
    sharePidNamespace: pid === cri.NamespaceMode.POD,
    disks: ['scratch', ...Object.values(record.images)],
    memoryLimitBytes: record.memoryLimitBytes,
  };
}

/** What of an attachment is the guest's to configure. */
export function guestNetwork({ mac, mtu, ipv4, ipv6, moreAddresses, routes }: Attachment): GuestNetwork {
  return { mac, mtu, ...ipv4, ipv6, moreAddresses, routes };
}

/** The kernel's resolvers read no more servers. */
const maxServers = 3;

function podResolvConf(config: cri.PodSandboxConfig, network: Attachment | undefined): string {
  const own = network?.nameservers ?? [];
  const dns = config.dnsConfig;
  if (!dns?.servers?.length || config.annotations?.[runtimeAnnotation.clusterFirst] !== 'true')
    return resolvConf(dns ?? network?.dns, own);
  return resolvConf({ ...dns, servers: [...new Set([...own, ...dns.servers])].slice(0, maxServers) }, own);
}

/** resolv.conf(5). A Pod without a dnsConfig gets what the network says. */
export function resolvConf(dns: cri.DNSConfig | undefined, nameservers: string[]): string {
  const servers = dns?.servers?.length ? dns.servers : nameservers;
  const lines = servers.map((server) => `nameserver ${server}`);
  if (dns?.searches?.length) lines.unshift(`search ${dns.searches.join(' ')}`);
  if (dns?.options?.length) lines.push(`options ${dns.options.join(' ')}`);
  return lines.map((line) => `${line}\n`).join('');
}
