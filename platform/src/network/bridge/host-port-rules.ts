/**
 * The chain `host_ports` of the table ip sampan_TAG, which firewall.ts makes and which sends everything here that is addressed to the host
 * itself. Pure.
 */
import { isWildcard, type MappedPorts } from '../host-ports.ts';

/** The rules of the chain; what is bound to one address goes before what is bound to all. Pure. */
export function hostPortRules(sandboxes: readonly (MappedPorts & { address: string })[]): string[] {
  const rules = sandboxes.flatMap(({ address, portMappings }) =>
    portMappings.map((mapping) => ({ mapping, to: `${address}:${mapping.containerPort}` })),
  );
  const specific = rules.filter(({ mapping }) => !isWildcard(mapping.hostIp));
  const general = rules.filter(({ mapping }) => isWildcard(mapping.hostIp));
  return [...specific, ...general].map(({ mapping: { protocol, hostPort, hostIp }, to }) => {
    const at = isWildcard(hostIp) ? '' : `ip daddr ${hostIp} `;
    return `${at}${protocol} dport ${hostPort} dnat to ${to}`;
  });
}
