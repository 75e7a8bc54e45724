/** Extended headers of pax archives (POSIX.1-2001): records of the form "length key=value\n". */
import { SampanError } from '@sampan/api/errors.ts';

const xattrPrefix = 'SCHILY.xattr.';

/** What a pax header says of the entry after it. Absent: the plain header holds. */
export interface PaxFields {
  path?: string;
  linkpath?: string;
  size?: number;
  uid?: number;
  gid?: number;
  mtime?: { seconds: number; nanoseconds: number };
  xattrs: Map<string, Buffer>;
}

/** Unknown keys are comments of the writer and have no effect, save those that change how content is laid out. */
export function readPaxRecords(data: Buffer): PaxFields {
  const fields: PaxFields = { xattrs: new Map() };
  let offset = 0;
  while (offset < data.length) {
    const space = data.indexOf(0x20, offset);
    const length = space === -1 || space - offset > 9 ? Number.NaN : Number(data.toString('latin1', offset, space));
    const end = offset + length;
    if (!Number.isInteger(length) || end > data.length || end <= space + 1 || data[end - 1] !== 0x0a) {
      throw new SampanError('Invalid', 'broken tar: a pax record has a wrong length');
    }
    const equals = data.indexOf(0x3d, space);
    if (equals === -1 || equals >= end) throw new SampanError('Invalid', 'broken tar: a pax record has no value');
    applyRecord(fields, data.toString('latin1', space + 1, equals), data.subarray(equals + 1, end - 1));
    offset = end;
  }
  return fields;
}

function applyRecord(fields: PaxFields, key: string, value: Buffer): void {
  const word = () => value.toString('latin1');
  if (key === 'path') fields.path = word();
  else if (key === 'linkpath') fields.linkpath = word();
  else if (key === 'size' || key === 'uid' || key === 'gid') fields[key] = wholeNumber(key, word());
  else if (key === 'mtime') fields.mtime = time(word());
  else if (key.startsWith(xattrPrefix)) fields.xattrs.set(key.slice(xattrPrefix.length), Buffer.from(value));
  else if (key.startsWith('GNU.sparse.')) {
    throw new SampanError('Unsupported', `sparse files in tar archives (${key}) are not read`);
  }
}

function wholeNumber(key: string, value: string): number {
  const number = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN;
  if (!Number.isSafeInteger(number)) throw new SampanError('Invalid', `broken tar: pax ${key} is not a number`);
  return number;
}

function time(value: string): { seconds: number; nanoseconds: number } {
  const match = /^(-?)(\d{1,15})(?:\.(\d+))?$/.exec(value);
  if (!match) throw new SampanError('Invalid', 'broken tar: pax mtime is not a time');
  const nanoseconds = Number((match[3] ?? '').padEnd(9, '0').slice(0, 9));
  const seconds = Number(match[2]);
  if (!match[1]) return { seconds, nanoseconds };
  return nanoseconds
    ? { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds }
    : { seconds: -seconds, nanoseconds };
}
