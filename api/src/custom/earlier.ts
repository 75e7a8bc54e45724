/**
 * What stood where a value stands now, for updates: what an object already had is not held against it (KEP-4008, validation ratcheting), so that
 * a definition may grow stricter without locking up the objects that are there. It owns which parts of two objects belong together.
 */
import { getMember, isJsonObject } from '../json.ts';
import { itemKeyReader } from './check-lists.ts';
import type { CustomSchema } from './custom-schema.ts';

/** Undefined where there was nothing, or nothing that can be told to be the same part. */
export type Earlier = { value: unknown } | undefined;

/**
 * Compares the parts of one object with those of another, from the outside in. What was compared within a larger part is not compared again: else each
 * level of a deep object would cost as much as all levels within it.
 */
export class Comparison {
  readonly #known = new WeakMap<object, { other: object; isEqual: boolean }>();

  isUnchanged(value: unknown, earlier: Earlier): boolean {
    return earlier !== undefined && this.#equal(value, earlier.value);
  }

  #equal(a: unknown, b: unknown): boolean {
    if (a === b) return true;
    if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
    const known = this.#known.get(a);
    if (known?.other === b) return known.isEqual;
    const isEqual = this.#membersEqual(a, b);
    this.#known.set(a, { other: b, isEqual });
    return isEqual;
  }

  #membersEqual(a: object, b: object): boolean {
    if (Array.isArray(a)) {
      return Array.isArray(b) && a.length === b.length && a.every((item, index) => this.#equal(item, b[index]));
    }
    if (!isJsonObject(a) || !isJsonObject(b)) return false;
    const names = Object.keys(a).filter((name) => a[name] !== undefined);
    if (names.length !== Object.keys(b).filter((name) => b[name] !== undefined).length) return false;
    return names.every((name) => this.#equal(a[name], getMember(b, name)));
  }
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
