/** /etc/hosts of a Pod's containers, as kubelet writes it. */
import type { HostAlias } from 'kubernetes-types/core/v1.js';
import type { PodName } from './hostname.ts';

export function hostsFile(name: PodName, ips: string[], aliases: HostAlias[]): string {
  const names = name.fqdn ? `${name.fqdn}\t${name.short}` : name.short;
  const lines = [
    '# Kubernetes-managed hosts file.',
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    'fe00::0\tip6-localnet',
    'fe00::0\tip6-mcastprefix',
    'fe00::1\tip6-allnodes',
    'fe00::2\tip6-allrouters',
    ...ips.map((ip) => `${ip}\t${names}`),
  ];
  if (aliases.length > 0) {
    lines.push('', '# Entries added by HostAliases.');
    for (const { ip, hostnames = [] } of aliases) lines.push(`${ip}\t${hostnames.join('\t')}`);
  }
  return `${lines.join('\n')}\n`;
}
