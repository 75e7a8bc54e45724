/** Layers arrive as plain tar, gzip or zstd; what they are is told by their first bytes, as every other unpacker does, not by their label. */
import type { Transform } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';

export type Compression = 'none' | 'gzip' | 'zstd';

/** `head`: the first four bytes or more (RFC 1952 2.3.1, RFC 8878 3.1). */
export function detectCompression(head: Uint8Array): Compression {
  if (head[0] === 0x1f && head[1] === 0x8b) return 'gzip';
  const word = head.length < 4 ? 0 : (head[0]! | (head[1]! << 8) | (head[2]! << 16) | (head[3]! << 24)) >>> 0;
  // A zstd stream may begin with a skippable frame.
  if (word === 0xfd2fb528 || (word & 0xfffffff0) >>> 0 === 0x184d2a50) return 'zstd';
  return 'none';
}

const chunkBytes = 256 << 10;

/** Undefined for 'none'. */
export function decompressor(compression: Compression): Transform | undefined {
  if (compression === 'gzip') return createGunzip({ chunkSize: chunkBytes });
  if (compression === 'zstd') return createZstdDecompress({ chunkSize: chunkBytes });
  return undefined;
}
