/**
 * Which lists and maps of Kubernetes' types are sets of named things, and by which members their elements are told apart. One table,
 * generated/merge-keys.json, serves strategic merge patch (listStrategy) and server-side apply (mergeKeys): the two do not always agree, as
 * Kubernetes' own tags do not. Under a strategic merge patch a list that is not here is replaced as a whole, as are all lists of types that are
 * not here.
 */
import data from '../generated/merge-keys.json' with { type: 'json' };

/** What the tags of one field say. */
export interface MergeKeys {
  /** patchMergeKey; '' for lists of plain values. Absent: a patch replaces the list. */
  patch?: string;
  /** Elements are unions: clients say with $retainKeys which members stay. */
  retainKeys?: boolean;
  /** Server-side apply: the names of the keys (listType=map), a set of values, or one value that nobody shares. Absent: by the form. */
  apply?: string[] | 'set' | 'atomic';
  /** Of keys that an element may leave out. */
  defaults?: Record<string, string>;
}

/** The form of generated/merge-keys.json. */
export interface MergeKeyData {
  source: string;
  /** By type name, such as `core/v1.Container`. `atomic`: the type as such is one value under server-side apply. */
  types: Record<string, { atomic?: boolean; fields?: Record<string, MergeKeys> }>;
}

const { types } = data as unknown as MergeKeyData;

export interface ListStrategy {
  /** The member that tells elements apart; absent for lists of plain values. */
  mergeKey?: string;
  /** Elements are unions: clients say with $retainKeys which members stay. */
  retainKeys?: boolean;
}

/** For strategic merge patch. undefined: the list is replaced as a whole. */
export function listStrategy(typeName: string, field: string): ListStrategy | undefined {
  const keys = mergeKeys(typeName, field);
  if (keys?.patch === undefined) return undefined;
  return { ...(keys.patch ? { mergeKey: keys.patch } : {}), ...(keys.retainKeys ? { retainKeys: true } : {}) };
}

export function mergeKeys(typeName: string, field: string): MergeKeys | undefined {
  const fields = Object.hasOwn(types, typeName) ? types[typeName]?.fields : undefined;
  return fields && Object.hasOwn(fields, field) ? fields[field] : undefined;
}

/** Under server-side apply a value of this type has one owner: a reference, a selector. */
export function isAtomicType(typeName: string): boolean {
  return Object.hasOwn(types, typeName) && types[typeName]?.atomic === true;
}
