/** A range of IPv4 addresses as numbers: what is in it, and which one stands at an offset. Pure. */

export interface Ipv4Range {
  cidr: string;
  /** Of the network address. */
  base: number;
  size: number;
}

/** Throws RangeError for what is no `10.96.0.0/16`, or is too small to hold a Service (/30 holds two). */
export function parseIpv4Range(cidr: string): Ipv4Range {
  const match = /^(\d{1,3}(?:\.\d{1,3}){3})\/(\d{1,2})$/.exec(cidr);
  const address = match ? addressNumber(match[1]!) : undefined;
  const bits = Number(match?.[2]);
  if (address === undefined || bits < 8 || bits > 30) {
    throw new RangeError(
      `the range of Service addresses is "${cidr}"; wanted IPv4 from /8 to /30, such as 10.96.0.0/16`,
    );
  }
  const size = 2 ** (32 - bits);
  return { cidr, base: address - (address % size), size };
}

/** Undefined for what is no IPv4 address. */
export function addressNumber(address: string): number | undefined {
  const parts = address.split('.').map(Number);
  if (parts.length !== 4 || parts.some((part) => !Number.isInteger(part) || part < 0 || part > 255)) return undefined;
  return parts.reduce((sum, part) => sum * 256 + part, 0);
}

export function addressAt({ base }: Ipv4Range, offset: number): string {
  const value = base + offset;
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}

/** Of the addresses Services may have: neither the network's own nor the broadcast address. */
export function isIn({ base, size }: Ipv4Range, address: string): boolean {
  const value = addressNumber(address);
  return value !== undefined && value > base && value < base + size - 1;
}
