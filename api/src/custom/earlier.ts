/**
 * What stood where a value stands now, for updates: what an object already had is not held against it (KEP-4008, validation ratcheting), so that
 * a definition may grow stricter without locking up the objects that are there. It owns which parts of two objects belong together.
 */
import { equalJson, getMember, isJsonObject } from '../json.ts';
import { itemKeyReader } from './check-lists.ts';
import type { CustomSchema } from './custom-schema.ts';

/** Undefined where there was nothing, or nothing that can be told to be the same part. */
export type Earlier = { value: unknown } | undefined;

export function isUnchanged(value: unknown, earlier: Earlier): boolean {
  return earlier !== undefined && equalJson(value, earlier.value);
}

export function earlierMember(earlier: Earlier, name: string): Earlier {
  if (!earlier || !isJsonObject(earlier.value)) return undefined;
  const value = getMember(earlier.value, name);
  return value === undefined ? undefined : { value };
}

/** Items of maps are the same ones by their keys, items of sets by themselves; those of other lists by nothing. */
export function earlierItems(earlier: Earlier, schema: CustomSchema): (item: unknown) => Earlier {
  const keyOf = itemKeyReader(schema);
  if (!keyOf || !earlier || !Array.isArray(earlier.value)) return () => undefined;
  const byKey = new Map(earlier.value.map((value) => [keyOf(value), { value }]));
  return (item) => byKey.get(keyOf(item));
}
