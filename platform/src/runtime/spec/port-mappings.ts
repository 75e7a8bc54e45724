/** CRI's port mappings as the network takes them: what names no port of the host is no mapping. Pure. */
import { SampanError } from '@sampan/api/errors.ts';
import type { PortMapping } from '../../network/network.ts';
import * as cri from '../generated/cri.ts';

const protocols = new Map<number, PortMapping['protocol']>([
  [cri.Protocol.TCP, 'tcp'],
  [cri.Protocol.UDP, 'udp'],
  [cri.Protocol.SCTP, 'sctp'],
]);

/** Throws Invalid naming the port. */
export function portMappings(mappings: readonly cri.PortMapping[] = []): PortMapping[] {
  return mappings
    .filter(({ hostPort = 0 }) => hostPort !== 0)
    .map(({ protocol = cri.Protocol.TCP, containerPort = 0, hostPort = 0, hostIp }) => {
      const known = protocols.get(protocol);
      if (!known) throw new SampanError('Invalid', `hostPort ${hostPort}: protocol ${protocol} is not known`);
      for (const port of [containerPort, hostPort])
        if (port < 1 || port > 65_535) throw new SampanError('Invalid', `hostPort ${hostPort}: ${port} is no port`);
      return { protocol: known, containerPort, hostPort, ...(hostIp ? { hostIp } : {}) };
    });
}
