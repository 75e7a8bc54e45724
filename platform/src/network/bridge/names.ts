/** How an instance's devices are called, and what follows from an address alone. Pure. */
import { createHash } from 'node:crypto';
import { SampanError } from '@sampan/api/errors.ts';

/** The kernel's IFNAMSIZ less its end mark. */
export const maxDeviceName = 15;

export interface DeviceNames {
  bridge: string;
  /** What every tap of this instance begins with, and no other device does. */
  tapPrefix: string;
  /** nft tables (families ip and bridge) and the mark on rules in tables of others. */
  table: string;
}

/** Throws Invalid when the tag cannot be part of a device's name. */
export function deviceNames(tag: string): DeviceNames {
  if (!/^[0-9a-z]{1,7}$/.test(tag)) {
    throw new SampanError('Invalid', `instance tag "${tag}" is not 1 to 7 characters of 0-9a-z`);
  }
  return { bridge: `sam-${tag}`, tapPrefix: `s${tag}-`, table: `sampan_${tag}` };
}

/** `offset`: the address's place in its subnet; at most 24 bits, so the name fits. */
export const tapName = (names: DeviceNames, offset: number): string => names.tapPrefix + offset.toString(16);

/** Locally administered, one to one with the address within an instance, so an address that is used again keeps its MAC. */
export function macOf(tag: string, address: number): string {
  const salt = createHash('sha256').update(tag).digest()[0] ?? 0;
  const bytes = [0x02, salt, ...[24, 16, 8, 0].map((shift) => (address >>> shift) & 255)];
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}
