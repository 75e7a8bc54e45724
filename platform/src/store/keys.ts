/** Keys of the store: printable ASCII, so that every driver sorts them alike, byte by byte. */
import { SampanError } from '@sampan/api/errors.ts';
import type { Write } from './store.ts';

const legalKey = /^[\x21-\x7e]{1,1024}$/;

/** Throws BadRequest for a key no driver may hold, and for a transaction that writes one key twice. */
export function checkWrites(writes: Write[]): void {
  if (writes.length === 0) throw new SampanError('BadRequest', 'a transaction needs at least one write');
  const seen = new Set<string>();
  for (const { key } of writes) {
    if (!legalKey.test(key)) {
      throw new SampanError(
        'BadRequest',
        `store key ${JSON.stringify(key)} is not 1 to 1024 printable ASCII characters`,
      );
    }
    if (seen.has(key)) throw new SampanError('BadRequest', `a transaction writes store key "${key}" twice`);
    seen.add(key);
  }
}

/** The first string after every key that starts with `prefix`. '\x7f' lies beyond every legal key. */
export function prefixEnd(prefix: string): string {
  if (prefix === '') return '\x7f';
  const last = prefix.charCodeAt(prefix.length - 1);
  return prefix.slice(0, -1) + String.fromCharCode(last + 1);
}

/** The error of a write whose `expect` does not hold. `actual` is 0 when there is no such key. */
export function conflict(key: string, wanted: number, actual: number): SampanError {
  const found = actual === 0 ? 'it does not exist' : `it is at revision ${actual}`;
  const expected = wanted === 0 ? 'it was expected not to exist' : `revision ${wanted} was expected`;
  return new SampanError('Conflict', `store key "${key}" has changed: ${expected}, but ${found}`);
}

export function compacted(wanted: number, oldest: number): SampanError {
  return new SampanError('Expired', `revision ${wanted} has been compacted; the oldest still held is ${oldest}`);
}

export function inTheFuture(wanted: number, current: number): SampanError {
  return new SampanError('Timeout', `Too large resource version: ${wanted}, current: ${current}`);
}
