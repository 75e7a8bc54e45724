/** Short names for values: the same value has the same hash, whatever the order of its members. */

const alphabet = 'bcdfghjklmnpqrstvwxz2456789';

/** FNV-1a of the value's canonical JSON and `salt`, in letters that make no words and can stand in a label. */
export function canonicalHash(value: unknown, salt = 0): string {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(`${canonicalJson(value)}${salt || ''}`)) {
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  }
  return [...String(hash)].map((digit) => alphabet[digit.charCodeAt(0) % alphabet.length]).join('');
}

/** JSON with the members of objects in order. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) => {
    if (typeof member !== 'object' || member === null || Array.isArray(member)) return member;
    return Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
