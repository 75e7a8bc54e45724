/**
 * What objects hold alone (Kind.claims) as keys of the store beside the registry: a claim is taken and given back in the very transaction
 * that writes its object, so that two servers over one store can never hand out the same, and nothing is left to repair.
 */
import type { Kind } from '@sampan/api/kind.ts';
import type { Write } from '../../store/store.ts';
import type { Stored } from '../meta/object.ts';

export const claimsRoot = '/claims/';

/** `object` absent: it goes; `old` absent: it is new. `key` is where the object stands: whose claim it is, for people who look. */
export function claimWrites(kind: Kind, key: string, object: Stored | undefined, old: Stored | undefined): Write[] {
  if (!kind.claims) return [];
  const before = new Set(old ? kind.claims(old) : []);
  const after = new Set(object ? kind.claims(object) : []);
  const taken = [...after].filter((claim) => !before.has(claim));
  const given = [...before].filter((claim) => !after.has(claim));
  return [
    ...taken.map((claim) => ({ key: claimsRoot + claim, value: Buffer.from(key), expect: 0 })),
    ...given.map((claim) => ({ key: claimsRoot + claim, value: undefined })),
  ];
}
