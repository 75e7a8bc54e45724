/**
 * Which ports of the host a Pod may have (CRI's port mappings). Owns nothing: the mappings stand with their driver's attachments, and how
 * packets get there is the driver's matter. The host's own sockets keep their ports: a port that somebody listens on is refused.
 */
import { createSocket } from 'node:dgram';
import { createServer, isIPv4 } from 'node:net';
import { SampanError } from '@sampan/api/errors.ts';
import type { PortMapping } from './network.ts';

export interface MappedPorts {
  sandboxId: string;
  portMappings: readonly PortMapping[];
}

/** Wildcards of both families: both mean every address that leads to Pods. */
export const isWildcard = (hostIp: string | undefined): boolean => !hostIp || hostIp === '0.0.0.0' || hostIp === '::';

const nameOf = ({ protocol, hostPort, hostIp }: PortMapping): string =>
  `${isWildcard(hostIp) ? '' : `${hostIp}:`}${hostPort}/${protocol}`;

/** Throws Unsupported or Invalid naming the mapping, AlreadyExists when another sandbox of this instance has the port. Pure. */
export function checkMappings(wanted: MappedPorts, others: readonly MappedPorts[]): void {
  for (const [index, mapping] of wanted.portMappings.entries()) {
    const { hostPort, containerPort, hostIp } = mapping;
    for (const port of [hostPort, containerPort])
      if (!Number.isInteger(port) || port < 1 || port > 65_535)
        throw new SampanError('Invalid', `host port ${nameOf(mapping)}: ${port} is no port`);
    if (!isWildcard(hostIp) && !isIPv4(hostIp ?? ''))
      throw new SampanError(
        'Unsupported',
        `host port ${nameOf(mapping)}: only IPv4 addresses of the host lead to Pods`,
      );
    const earlier = wanted.portMappings.slice(0, index).find((other) => collide(mapping, other));
    if (earlier) throw new SampanError('Invalid', `host port ${nameOf(mapping)} is mapped twice`);
    const owner = others.find(
      (other) => other.sandboxId !== wanted.sandboxId && other.portMappings.some((one) => collide(mapping, one)),
    );
    if (owner)
      throw new SampanError('AlreadyExists', `host port ${nameOf(mapping)} is taken by sandbox ${owner.sandboxId}`);
  }
}

function collide(one: PortMapping, other: PortMapping): boolean {
  if (one.protocol !== other.protocol || one.hostPort !== other.hostPort) return false;
  return isWildcard(one.hostIp) || isWildcard(other.hostIp) || one.hostIp === other.hostIp;
}

/** Throws AlreadyExists when a process of the host listens on a wanted port (SCTP cannot be asked). */
export async function checkListeners(mappings: readonly PortMapping[]): Promise<void> {
  for (const mapping of mappings) {
    const host = isWildcard(mapping.hostIp) ? '0.0.0.0' : mapping.hostIp!;
    const code =
      mapping.protocol === 'tcp'
        ? await listenTcp(host, mapping.hostPort)
        : mapping.protocol === 'udp'
          ? await listenUdp(host, mapping.hostPort)
          : undefined;
    if (code === 'EADDRINUSE')
      throw new SampanError('AlreadyExists', `host port ${nameOf(mapping)} is taken by a process of the host`);
    if (code === 'EADDRNOTAVAIL')
      throw new SampanError('Invalid', `host port ${nameOf(mapping)}: the host has no address ${host}`);
  }
}

/** The error's code, or undefined when the port was free. */
function listenTcp(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

function listenUdp(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    socket.once('error', (error: NodeJS.ErrnoException) => {
      socket.close();
      resolve(error.code);
    });
    socket.bind({ address: host, port, exclusive: true }, () => socket.close(() => resolve(undefined)));
  });
}
