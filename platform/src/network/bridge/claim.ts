/** Which subnet and addresses this instance's network has, decided once and remembered beside the leases. */
import { readdir, readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import { readTextIfExists, writeFileAtomic } from '../../base/files.ts';
import { routedSubnets } from './links.ts';
import type { DeviceNames } from './names.ts';
import { formatSubnet, parseAddress, parseSubnet, pickSubnet, type Subnet } from './subnet.ts';

export interface ClaimRequest {
  directory: string;
  tag: string;
  names: DeviceNames;
  /** From the configuration; taken as it is. */
  subnet?: string;
}

/** The configured subnet, else the remembered one, else a free one (remembered). Throws ResourceExhausted. Call under withHostLock. */
export async function claimSubnet(request: ClaimRequest): Promise<Subnet> {
  const path = join(request.directory, 'subnet');
  const remembered = await readTextIfExists(path);
  if (request.subnet) {
    const wanted = parseSubnet(request.subnet);
    if (remembered && remembered !== formatSubnet(wanted)) await refuseMove(request, remembered);
    await writeFileAtomic(path, formatSubnet(wanted), { durable: false });
    return wanted;
  }
  if (remembered) return parseSubnet(remembered);
  const taken = await routedSubnets(request.names.bridge);
  const subnet = pickSubnet(request.tag, [...taken, ...(await resolverSubnets())]);
  await writeFileAtomic(path, formatSubnet(subnet), { durable: false });
  return subnet;
}

/** Running Pods keep the addresses they were started with. */
async function refuseMove(request: ClaimRequest, remembered: string): Promise<void> {
  const leases = await readdir(join(request.directory, 'leases')).catch(() => []);
  if (leases.length === 0) return;
  throw new SampanError(
    'FailedPrecondition',
    `the Pod subnet is ${remembered} and ${leases.length} sandboxes use it; wanted ${request.subnet}: delete the Pods first (./sampan down --pods)`,
  );
}

/** The host's resolvers may be far behind the default route; a Pod subnet over them would cut the host off from names. */
async function resolverSubnets(): Promise<Subnet[]> {
  const text = await readFile('/etc/resolv.conf', 'utf8').catch(() => '');
  return [...text.matchAll(/^\s*nameserver\s+(\d+\.\d+\.\d+\.\d+)\s*$/gm)].map((match) => ({
    base: parseAddress(match[1] ?? ''),
    prefixLength: 32,
  }));
}

export const gatewayOf = (subnet: Subnet): number => subnet.base + 1;

const lockName = '\0sampan-network';

/**
 * One instance at a time per network namespace: an abstract unix socket is a lock that the kernel scopes to the namespace and
 * frees with its holder. Throws Timeout after 10 s.
 */
export async function withHostLock<T>(clock: Clock, work: () => Promise<T>): Promise<T> {
  const deadline = clock.monotonicMs() + 10_000;
  let lock = await tryLock();
  while (!lock) {
    if (clock.monotonicMs() > deadline) {
      throw new SampanError('Timeout', 'another instance holds the host network lock for more than 10 s; try again');
    }
    await clock.sleep(20);
    lock = await tryLock();
  }
  try {
    return await work();
  } finally {
    lock.close();
  }
}

function tryLock(): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    );
    server.listen(lockName, () => resolve(server));
  });
}
