/**
 * The parts of a sparse file that are not holes. Node has no SEEK_DATA, GNU tar has: its sparse format 1.0 (GNU tar manual, "PAX Format,
 * Version 1.0") puts a map of the data in front of it.
 */
import { readFile, rm } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';
import { run } from '../../../base/child.ts';

export interface DataBlock {
  offset: number;
  data: Buffer;
}

const blockBytes = 4096;
const recordBytes = 512;

/** Whole 4 KiB blocks with their offsets; blocks of zeros are left out. For files with little data: everything is read into memory. */
export async function readDataBlocks(path: string): Promise<DataBlock[]> {
  const archive = `${path}.tar.tmp`;
  try {
    const format = ['--sparse', '--sparse-version=1.0', '--format=pax'];
    await run('tar', [...format, '-C', dirname(path), '-cf', archive, basename(path)]);
    return parseSparseArchive(await readFile(archive)).flatMap(nonZeroBlocks);
  } finally {
    await rm(archive, { force: true });
  }
}

/** The data segments of an archive with one sparse file in it. Throws InternalError when it is not one. */
function parseSparseArchive(archive: Buffer): DataBlock[] {
  let at = 0;
  // The pax header record ('x') comes before the file's own.
  while (archive[at + 156] === 'x'.charCodeAt(0)) at += recordBytes + roundUp(sizeOf(archive, at), recordBytes);
  let cursor = at + recordBytes;
  const number = () => {
    const end = archive.indexOf('\n', cursor);
    const text = archive.toString('latin1', cursor, end);
    if (end < 0 || !/^\d{1,15}$/.test(text)) throw new SampanError('InternalError', 'tar wrote no sparse map');
    cursor = end + 1;
    return Number(text);
  };
  const map = Array.from({ length: number() }, () => ({ offset: number(), size: number() }));
  cursor = at + recordBytes + roundUp(cursor - at - recordBytes, recordBytes);
  return map.map(({ offset, size }) => {
    const data = archive.subarray(cursor, cursor + size);
    cursor += size;
    return { offset, data };
  });
}

const sizeOf = (archive: Buffer, at: number) => Number.parseInt(archive.toString('latin1', at + 124, at + 135), 8);

const roundUp = (value: number, step: number) => Math.ceil(value / step) * step;

/** Neighbouring blocks that are not zero stay together. */
function nonZeroBlocks(segment: DataBlock): DataBlock[] {
  const blocks: DataBlock[] = [];
  for (let from = 0; from < segment.data.length; from += blockBytes) {
    const data = segment.data.subarray(from, from + blockBytes);
    if (data.every((byte) => byte === 0)) continue;
    const last = blocks.at(-1);
    const offset = segment.offset + from;
    if (last && last.offset + last.data.length === offset) {
      const start = from - last.data.length;
      last.data = segment.data.subarray(start, from + data.length);
    } else blocks.push({ offset, data });
  }
  return blocks;
}
