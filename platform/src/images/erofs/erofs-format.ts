/**
 * The bytes of EROFS's structures (Linux Documentation/filesystems/erofs.rst and the on-disk format it describes), as much as an uncompressed
 * image needs: nothing that Linux 6.1 does not read. All numbers are little endian.
 */
import type { Inode } from './image-tree.ts';

export const blockBytes = 4096;
/** Inodes are numbered by their offset in the metadata area, in slots. */
export const slotBytes = 32;
/** The extended form: 32-bit owners, 64-bit sizes, own mtime. */
export const inodeBytes = 64;
const direntBytes = 12;

const superblockOffset = 1024;
const superblockMagic = 0xe0f5e1e2;
const blockSizeBits = 12;
const compatChecksum = 1;
const compatMtime = 2;

export type DataLayout = 'plain' | 'inline';

const layoutCode: Record<DataLayout, number> = { plain: 0, inline: 2 };

const typeBits: Record<Inode['kind'], number> = {
  fifo: 0o010000,
  character: 0o020000,
  directory: 0o040000,
  block: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
};

/** File types in directory entries, the kernel's FT_* numbers. */
const direntType: Record<Inode['kind'], number> = {
  file: 1,
  directory: 2,
  character: 3,
  block: 4,
  fifo: 5,
  symlink: 7,
};

export interface SuperblockFields {
  rootNid: number;
  inodes: number;
  blocks: number;
  metaBlock: number;
  uuid: Buffer;
}

/** The image's first block. */
export function encodeSuperblock(fields: SuperblockFields): Buffer {
  const block = Buffer.alloc(blockBytes);
  const at = superblockOffset;
  block.writeUInt32LE(superblockMagic, at);
  block.writeUInt32LE(compatChecksum | compatMtime, at + 8);
  block.writeUInt8(blockSizeBits, at + 12);
  block.writeUInt16LE(fields.rootNid, at + 14);
  block.writeBigUInt64LE(BigInt(fields.inodes), at + 16);
  block.writeUInt32LE(fields.blocks, at + 36);
  block.writeUInt32LE(fields.metaBlock, at + 40);
  fields.uuid.copy(block, at + 48, 0, 16);
  block.writeUInt32LE(crc32c(block.subarray(at)), at + 4);
  return block;
}

export interface InodeFields {
  layout: DataLayout;
  /** Of the xattr area that follows, 0 or 12 and more. */
  xattrBytes: number;
  size: number;
  links: number;
  /** First block of plain data, or the encoded device number. */
  union: number;
  serial: number;
}

export function encodeInode(out: Buffer, offset: number, inode: Inode, fields: InodeFields): void {
  out.writeUInt16LE(1 | (layoutCode[fields.layout] << 1), offset);
  out.writeUInt16LE(fields.xattrBytes === 0 ? 0 : (fields.xattrBytes - xattrHeaderBytes) / 4 + 1, offset + 2);
  out.writeUInt16LE(typeBits[inode.kind] | inode.mode, offset + 4);
  out.writeBigUInt64LE(BigInt(fields.size), offset + 8);
  out.writeUInt32LE(fields.union, offset + 16);
  out.writeUInt32LE(fields.serial, offset + 20);
  out.writeUInt32LE(inode.uid, offset + 24);
  out.writeUInt32LE(inode.gid, offset + 28);
  out.writeBigInt64LE(BigInt(inode.mtimeSeconds), offset + 32);
  out.writeUInt32LE(inode.mtimeNanoseconds, offset + 40);
  out.writeUInt32LE(fields.links, offset + 44);
}

/** Linux's 32-bit device number (new_encode_dev). */
export function encodeDevice(major: number, minor: number): number {
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

const xattrHeaderBytes = 12;

/** Longest prefix first, so that an ACL is not taken for something else. */
const xattrPrefixes: [string, number][] = [
  ['system.posix_acl_access', 2],
  ['system.posix_acl_default', 3],
  ['user.', 1],
  ['security.', 6],
];

/** The inline xattr area of an inode; empty when it has none. */
export function encodeXattrs(xattrs: Map<string, Buffer>): Buffer {
  if (xattrs.size === 0) return Buffer.alloc(0);
  const parts = [Buffer.alloc(xattrHeaderBytes)];
  for (const [name, value] of xattrs) {
    const [prefix, index] = xattrPrefixes.find(([start]) => name.startsWith(start))!;
    const rest = Buffer.from(name.slice(prefix.length), 'latin1');
    const entry = Buffer.alloc(roundUp(4 + rest.length + value.length, 4));
    entry.writeUInt8(rest.length, 0);
    entry.writeUInt8(index, 1);
    entry.writeUInt16LE(value.length, 2);
    rest.copy(entry, 4);
    value.copy(entry, 4 + rest.length);
    parts.push(entry);
  }
  return Buffer.concat(parts);
}

export interface Dirent {
  name: string;
  nid: number;
  kind: Inode['kind'];
}

/** How sorted names fall into directory blocks: the number of names in each, and the directory's size. */
export function layOutDirectory(names: string[]): { counts: number[]; size: number } {
  const counts: number[] = [];
  let used = blockBytes;
  for (const name of names) {
    const needed = direntBytes + name.length;
    if (used + needed > blockBytes) {
      counts.push(0);
      used = 0;
    }
    counts[counts.length - 1]!++;
    used += needed;
  }
  return { counts, size: (counts.length - 1) * blockBytes + used };
}

/** Writes a directory's blocks; the last one is only as long as it is full. Entries are sorted by the bytes of their names. */
export function encodeDirectory(out: Buffer, entries: Dirent[], counts: number[]): void {
  let next = 0;
  for (const [block, count] of counts.entries()) {
    const start = block * blockBytes;
    let nameAt = count * direntBytes;
    for (let i = 0; i < count; i++) {
      const entry = entries[next++]!;
      const at = start + i * direntBytes;
      out.writeBigUInt64LE(BigInt(entry.nid), at);
      out.writeUInt16LE(nameAt, at + 8);
      out.writeUInt8(direntType[entry.kind], at + 10);
      out.write(entry.name, start + nameAt, 'latin1');
      nameAt += entry.name.length;
    }
  }
}

export const roundUp = (value: number, to: number): number => Math.ceil(value / to) * to;

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

/** CRC-32C as the kernel's crc32c(~0, ...) gives it: without the final inversion. */
export function crc32c(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) crc = (crc >>> 8) ^ crcTable[(crc ^ byte) & 0xff]!;
  return crc >>> 0;
}
