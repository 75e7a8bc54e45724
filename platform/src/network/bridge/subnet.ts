/** IPv4 blocks: parsing, arithmetic, and the choice of one that the host does not use yet. Pure. */
import { SampanError } from '@sampan/api/errors.ts';

/** An IPv4 block; `base` is its first address as an unsigned 32-bit number. */
export interface Subnet {
  base: number;
  prefixLength: number;
}

/** Throws Invalid naming the text. */
export function parseAddress(text: string): number {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)?.slice(1).map(Number);
  if (!parts || parts.some((part) => part > 255)) {
    throw new SampanError('Invalid', `"${text}" is not an IPv4 address; wanted four numbers such as 10.64.0.1`);
  }
  return parts.reduce((value, part) => value * 256 + part, 0);
}

export function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}

/** `a.b.c.d/n`, n from 8 to 30, no bits set behind the prefix. Throws Invalid. */
export function parseSubnet(text: string): Subnet {
  const [address = '', length = ''] = text.split('/');
  const prefixLength = /^\d{1,2}$/.test(length) ? Number(length) : Number.NaN;
  if (!(prefixLength >= 8 && prefixLength <= 30)) {
    throw new SampanError('Invalid', `"${text}" is not a Pod subnet; wanted address/length with a length from 8 to 30`);
  }
  const base = parseAddress(address);
  if (base % sizeOf(prefixLength) !== 0) {
    throw new SampanError('Invalid', `subnet ${text} has address bits set behind its prefix`);
  }
  return { base, prefixLength };
}

export const formatSubnet = (subnet: Subnet): string => `${formatAddress(subnet.base)}/${subnet.prefixLength}`;

/** How many addresses a prefix leaves, network and broadcast address included. */
export const sizeOf = (prefixLength: number): number => 2 ** (32 - prefixLength);

export const contains = (subnet: Subnet, address: number): boolean =>
  address >= subnet.base && address < subnet.base + sizeOf(subnet.prefixLength);

export function overlaps(a: Subnet, b: Subnet): boolean {
  return a.base < b.base + sizeOf(b.prefixLength) && b.base < a.base + sizeOf(a.prefixLength);
}

const pool: Subnet = parseSubnet('10.64.0.0/10');
const podPrefixLength = 16;

/**
 * A /16 out of 10.64.0.0/10 that overlaps nothing in `taken`: the tag decides where the search begins, so that instances
 * side by side seldom meet. Throws ResourceExhausted.
 */
export function pickSubnet(tag: string, taken: Subnet[]): Subnet {
  const count = sizeOf(pool.prefixLength) / sizeOf(podPrefixLength);
  const first = [...tag].reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) >>> 0, 7) % count;
  for (let step = 0; step < count; step++) {
    const base = pool.base + ((first + step) % count) * sizeOf(podPrefixLength);
    const candidate = { base, prefixLength: podPrefixLength };
    if (!taken.some((other) => overlaps(candidate, other))) return candidate;
  }
  throw new SampanError(
    'ResourceExhausted',
    `no /16 of ${formatSubnet(pool)} is free of this host's routes; name a free subnet in the configuration`,
  );
}
