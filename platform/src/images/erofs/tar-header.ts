/** One 512-byte tar header (POSIX.1-2001 ustar and pax, GNU extensions) read into fields. Owns no stream. */
import { SampanError } from '@sampan/api/errors.ts';

export type EntryKind = 'file' | 'hardlink' | 'symlink' | 'character' | 'block' | 'directory' | 'fifo';

/** Names and targets are byte strings: one character per byte (latin1), so that no name is ever altered. */
export interface TarEntry {
  kind: EntryKind;
  name: string;
  /** Target of a hard link or symlink. */
  linkName: string;
  /** Bytes of content that follow; 0 for all but files. */
  size: number;
  /** Permission bits with setuid, setgid and sticky. */
  mode: number;
  uid: number;
  gid: number;
  mtimeSeconds: number;
  mtimeNanoseconds: number;
  deviceMajor: number;
  deviceMinor: number;
  xattrs: Map<string, Buffer>;
}

export const tarBlockBytes = 512;

export interface RawHeader {
  type: string;
  name: string;
  linkName: string;
  size: number;
  mode: number;
  uid: number;
  gid: number;
  mtimeSeconds: number;
  deviceMajor: number;
  deviceMinor: number;
}

/** Throws Invalid when the block is no tar header. */
export function readRawHeader(block: Buffer): RawHeader {
  if (!checksumMatches(block)) throw new SampanError('Invalid', 'broken tar: a header has a wrong checksum');
  const magic = block.toString('latin1', 257, 265);
  const prefix = magic.startsWith('ustar\0') ? text(block, 345, 155) : '';
  const name = text(block, 0, 100);
  const hasDevice = magic.startsWith('ustar');
  return {
    type: String.fromCharCode(block[156]!),
    name: prefix ? `${prefix}/${name}` : name,
    linkName: text(block, 157, 100),
    size: number(block, 124, 12),
    mode: number(block, 100, 8),
    uid: number(block, 108, 8),
    gid: number(block, 116, 8),
    mtimeSeconds: number(block, 136, 12),
    deviceMajor: hasDevice ? number(block, 329, 8) : 0,
    deviceMinor: hasDevice ? number(block, 337, 8) : 0,
  };
}

/** Sum of all bytes with the checksum field as spaces; some old writers summed signed bytes. */
function checksumMatches(block: Buffer): boolean {
  let unsigned = 0;
  let signed = 0;
  for (let i = 0; i < tarBlockBytes; i++) {
    const byte = i >= 148 && i < 156 ? 32 : block[i]!;
    unsigned += byte;
    signed += byte < 128 ? byte : byte - 256;
  }
  const stored = number(block, 148, 8);
  return stored === unsigned || stored === signed;
}

function text(block: Buffer, offset: number, length: number): string {
  const end = block.indexOf(0, offset);
  return block.toString('latin1', offset, end === -1 || end > offset + length ? offset + length : end);
}

/** Octal text, or GNU's base-256 where the first bit is set. */
function number(block: Buffer, offset: number, length: number): number {
  const first = block[offset]!;
  if (first & 0x80) return base256(block.subarray(offset, offset + length));
  const digits = block
    .toString('latin1', offset, offset + length)
    .replace(/\0.*$/s, '')
    .trim();
  if (digits === '') return 0;
  if (!/^[0-7]+$/.test(digits)) throw new SampanError('Invalid', 'broken tar: a header field is not an octal number');
  return Number.parseInt(digits, 8);
}

function base256(field: Buffer): number {
  const bits = field.length * 8;
  let value = 0n;
  for (const byte of field) value = (value << 8n) | BigInt(byte);
  // The top bit only says "binary"; what remains is a two's complement number, as times before 1970 are.
  const result = Number(BigInt.asIntN(bits - 1, value));
  if (!Number.isSafeInteger(result)) throw new SampanError('Invalid', 'broken tar: a number in a header is too large');
  return result;
}
