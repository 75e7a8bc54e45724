/**
 * Address leases: one file per address, made with O_EXCL, so that an address cannot be given twice whoever asks.
 *
 * Owns <run>/network/leases/ADDRESS and the cursor beside it. The files are the truth; what is in memory was read from them.
 * Does not own devices. An address that comes back is given again only when all others have had their turn.
 */
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';
import { z } from 'zod';
import type { AttachRequest } from '../network.ts';
import { contains, formatAddress, formatSubnet, parseAddress, type Subnet, sizeOf } from './subnet.ts';

const leaseSchema = z.object({
  sandboxId: z.string().min(1).max(256),
  podNamespace: z.string().max(256),
  podName: z.string().max(256),
  podUid: z.string().max(256),
  netnsPath: z.string().max(4096).optional(),
  portMappings: z
    .array(
      z.object({
        protocol: z.enum(['tcp', 'udp', 'sctp']),
        containerPort: z.number().int(),
        hostPort: z.number().int(),
        hostIp: z.string().max(64).optional(),
      }),
    )
    .max(1024)
    .optional(),
});

export interface Lease extends Omit<AttachRequest, 'annotations' | 'dns'> {
  address: number;
}

/** The network's, the gateway's (first) and the broadcast address are never leased. */
const firstOffset = 2;

export class Leases {
  readonly #directory: string;
  readonly #cursorPath: string;
  readonly #subnet: Subnet;
  readonly #byAddress = new Map<number, Lease>();
  readonly #bySandbox = new Map<string, Lease>();
  #cursor: number;

  private constructor(directory: string, subnet: Subnet) {
    this.#directory = join(directory, 'leases');
    this.#cursorPath = join(directory, 'next-address');
    this.#subnet = subnet;
    this.#cursor = firstOffset;
  }

  /** Reads what is on disk. A file that is no lease of this subnet (a crash between making and filling it) is removed. */
  static open(directory: string, subnet: Subnet): Leases {
    const leases = new Leases(directory, subnet);
    mkdirSync(leases.#directory, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(leases.#directory)) {
      const lease = leases.#read(name);
      if (lease) leases.#remember(lease);
      else rmSync(join(leases.#directory, name), { force: true });
    }
    leases.#cursor = leases.#readCursor();
    return leases;
  }

  all(): Lease[] {
    return [...this.#byAddress.values()];
  }

  ofSandbox(sandboxId: string): Lease | undefined {
    return this.#bySandbox.get(sandboxId);
  }

  ofAddress(address: number): Lease | undefined {
    return this.#byAddress.get(address);
  }

  /** Synchronous, because a lease is a few bytes on tmpfs and a Pod's start waits for it. Throws ResourceExhausted. */
  take(request: AttachRequest): Lease {
    const size = sizeOf(this.#subnet.prefixLength);
    const usable = size - firstOffset - 1;
    for (let tries = 0; tries < usable; tries++) {
      const offset = this.#cursor;
      this.#cursor = offset + 1 >= size - 1 ? firstOffset : offset + 1;
      const lease = { ...leaseSchema.parse(request), address: this.#subnet.base + offset };
      if (this.#byAddress.has(lease.address) || !this.#create(lease)) continue;
      this.#remember(lease);
      writeWhole(this.#cursorPath, 'w', String(this.#cursor));
      return lease;
    }
    throw new SampanError(
      'ResourceExhausted',
      `all ${usable} addresses of the Pod subnet ${formatSubnet(this.#subnet)} are in use; delete Pods or configure a wider subnet`,
    );
  }

  release(lease: Lease): void {
    rmSync(join(this.#directory, formatAddress(lease.address)), { force: true });
    this.#byAddress.delete(lease.address);
    this.#bySandbox.delete(lease.sandboxId);
  }

  #remember(lease: Lease): void {
    this.#byAddress.set(lease.address, lease);
    this.#bySandbox.set(lease.sandboxId, lease);
  }

  #create(lease: Lease): boolean {
    const { address, ...content } = lease;
    try {
      writeWhole(join(this.#directory, formatAddress(address)), 'wx', JSON.stringify(content));
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    }
  }

  #read(name: string): Lease | undefined {
    try {
      const address = parseAddress(name);
      const content = leaseSchema.parse(JSON.parse(readFileSync(join(this.#directory, name), 'utf8')));
      return contains(this.#subnet, address) && !this.#bySandbox.has(content.sandboxId)
        ? { ...content, address }
        : undefined;
    } catch {
      return undefined;
    }
  }

  #readCursor(): number {
    try {
      const offset = Number(readFileSync(this.#cursorPath, 'utf8'));
      const last = sizeOf(this.#subnet.prefixLength) - 2;
      return Number.isInteger(offset) && offset >= firstOffset && offset <= last ? offset : firstOffset;
    } catch {
      return firstOffset;
    }
  }
}

function writeWhole(path: string, flags: 'w' | 'wx', text: string): void {
  const file = openSync(path, flags, 0o600);
  try {
    writeSync(file, text);
  } finally {
    closeSync(file);
  }
}
