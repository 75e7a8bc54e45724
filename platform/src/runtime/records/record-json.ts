/**
 * JSON for records that hold CRI messages: 64-bit numbers and bytes survive the way to the disk and back.
 * Does not know what a record means (sandbox-record.ts, container-record.ts).
 */

/** bigint becomes {"$n": decimal}, bytes {"$b": base64}. */
export function encodeRecord(value: unknown): string {
  return JSON.stringify(value, (_key, item) => {
    if (typeof item === 'bigint') return { $n: item.toString() };
    // A Buffer's own toJSON has run before we see it.
    if (item?.type === 'Buffer' && Array.isArray(item.data)) return { $b: Buffer.from(item.data).toString('base64') };
    if (item instanceof Uint8Array) return { $b: Buffer.from(item).toString('base64') };
    return item;
  });
}

/** Throws SyntaxError for a torn text. */
export function decodeRecord(text: string): unknown {
  return JSON.parse(text, (_key, item) => {
    if (typeof item?.$n === 'string') return BigInt(item.$n);
    if (typeof item?.$b === 'string') return new Uint8Array(Buffer.from(item.$b, 'base64'));
    return item;
  });
}
