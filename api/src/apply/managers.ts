/** metadata.managedFields: who owns which fields (meta/v1 ManagedFieldsEntry), in and out of objects. Owns their order, their bound, their text. */
import { isJsonObject } from '../json.ts';
import { canonicalTime, parseTime } from '../time.ts';
import { emptySet, equalSets, type FieldSet, inOrder, isEmptySet, parseFieldSet, union } from './field-set.ts';

export type Operation = 'Apply' | 'Update';

export interface ManagedEntry {
  manager: string;
  operation: Operation;
  apiVersion: string;
  /** RFC 3339. */
  time?: string;
  fieldsType: 'FieldsV1';
  fieldsV1: FieldSet;
  /** Absent: the object itself. */
  subresource?: string;
}

/** Whose entry it is: a manager has one for what it applies, and one for what it updates in each version. */
export type Identity = Pick<ManagedEntry, 'manager' | 'operation' | 'apiVersion' | 'subresource'>;

export function isSameManager(a: Identity, b: Identity): boolean {
  return (
    a.manager === b.manager &&
    a.operation === b.operation &&
    (a.subresource ?? '') === (b.subresource ?? '') &&
    (a.operation === 'Apply' || a.apiVersion === b.apiVersion)
  );
}

/** As the messages about conflicts name a manager. */
export function managerText({ manager, operation, subresource, apiVersion }: Identity): string {
  const name = JSON.stringify(manager) + (subresource ? ` with subresource ${JSON.stringify(subresource)}` : '');
  return operation === 'Update' ? `${name} using ${apiVersion}` : name;
}

/** What a client may ask for: [] or [{}] forgets all owners. */
export function isReset(entries: unknown): boolean {
  if (!Array.isArray(entries) || entries.length > 1) return false;
  return entries.length === 0 || (isJsonObject(entries[0]) && Object.keys(entries[0]).length === 0);
}

/** Entries that own something. Only for what the server made itself; clients write anything (parseOwners). */
export function ownersIn(entries: unknown): ManagedEntry[] {
  if (!Array.isArray(entries)) return [];
  return (entries as ManagedEntry[]).filter((entry) => entry.fieldsV1 && !isEmptySet(entry.fieldsV1));
}

/** More than any honest object has; each costs room in every copy of it. */
const maxEntries = 1000;

/** managedFields that a client wrote; undefined when they are malformed: then what is stored goes on. */
export function parseOwners(entries: unknown): ManagedEntry[] | undefined {
  if (!Array.isArray(entries) || entries.length > maxEntries) return undefined;
  try {
    return entries.map(parseEntry).filter((entry) => !isEmptySet(entry.fieldsV1));
  } catch {
    return undefined;
  }
}

function parseEntry(entry: unknown): ManagedEntry {
  if (!isJsonObject(entry)) throw new TypeError('an entry is an object');
  const { manager = '', operation, apiVersion, time, fieldsType, fieldsV1, subresource } = entry;
  if (operation !== 'Apply' && operation !== 'Update') throw new TypeError('operation must be `Apply` or `Update`');
  if (typeof apiVersion !== 'string' || !apiVersion) throw new TypeError('apiVersion must not be empty');
  if (fieldsType !== 'FieldsV1') throw new TypeError('fieldsType must be FieldsV1');
  if (typeof manager !== 'string') throw new TypeError('manager must be a string');
  if (time && !(typeof time === 'string' && parseTime(time) !== undefined)) throw new TypeError('time must be a time');
  return {
    manager,
    operation,
    apiVersion,
    ...(time ? { time: canonicalTime(time as string) } : {}),
    fieldsType,
    fieldsV1: inOrder(parseFieldSet(fieldsV1 ?? emptySet)),
    ...(typeof subresource === 'string' && subresource ? { subresource } : {}),
  };
}

/** The entries with `change` made to each set; those that own nothing any more are left out, untouched ones are the same objects. */
export function changeSets(entries: ManagedEntry[], change: (entry: ManagedEntry) => FieldSet): ManagedEntry[] {
  return entries.flatMap((entry) => {
    const fieldsV1 = change(entry);
    if (fieldsV1 === entry.fieldsV1 || equalSets(fieldsV1, entry.fieldsV1)) return [entry];
    return isEmptySet(fieldsV1) ? [] : [{ ...entry, fieldsV1: inOrder(fieldsV1) }];
  });
}

/** With `fields` as what this manager owns, since `time`. */
export function withOwner(entries: ManagedEntry[], owner: Identity, fields: FieldSet, time: string): ManagedEntry[] {
  const others = entries.filter((entry) => !isSameManager(entry, owner));
  if (isEmptySet(fields)) return others;
  const { manager, operation, apiVersion, subresource } = owner;
  const named = { manager, operation, apiVersion, time, fieldsType: 'FieldsV1', fieldsV1: inOrder(fields) } as const;
  return [...others, { ...named, ...(subresource ? { subresource } : {}) }];
}

export function ownerOf(entries: ManagedEntry[], owner: Identity): ManagedEntry | undefined {
  return entries.find((entry) => isSameManager(entry, owner));
}

/** As kube-apiserver's cap on managers that update. */
const maxUpdaters = 10;
const bucketName = 'ancient-changes';

/** Updaters beyond ten go, the oldest first, into one entry a version. */
export function capUpdaters(entries: ManagedEntry[]): ManagedEntry[] {
  const updaters = entries.filter(({ operation }) => operation === 'Update').sort(byTime);
  let excess = updaters.length - maxUpdaters;
  if (excess <= 0) return entries;
  const first = new Map<string, ManagedEntry>();
  const buckets = new Map<string, ManagedEntry>();
  const gone = new Set<ManagedEntry>();
  for (const entry of updaters) {
    if (excess <= 0) break;
    const { apiVersion, time } = entry;
    const before = buckets.get(apiVersion) ?? first.get(apiVersion);
    if (!before) {
      first.set(apiVersion, entry);
      continue;
    }
    gone.add(before).add(entry);
    const { manager: _, subresource: __, ...rest } = before;
    const fieldsV1 = inOrder(union(before.fieldsV1, entry.fieldsV1));
    buckets.set(apiVersion, { manager: bucketName, ...rest, ...(time ? { time } : {}), fieldsV1 });
    excess--;
  }
  return [...entries.filter((entry) => !gone.has(entry)), ...buckets.values()];
}

/** As kube-apiserver sorts them: appliers first, then by time and name. */
export function sortOwners(entries: ManagedEntry[]): ManagedEntry[] {
  return [...entries].sort((a, b) => compareText(a.operation, b.operation) || byTime(a, b));
}

function byTime(a: ManagedEntry, b: ManagedEntry): number {
  return (
    compareText(a.time ?? '', b.time ?? '') ||
    compareText(a.manager, b.manager) ||
    compareText(a.apiVersion, b.apiVersion) ||
    compareText(a.subresource ?? '', b.subresource ?? '')
  );
}

const compareText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** Whether the same managers own the same fields, at whatever times they took them. */
export function sameOwners(a: unknown, b: unknown): boolean {
  const [left, right] = [ownersIn(a), ownersIn(b)];
  return (
    left.length === right.length &&
    left.every((entry) => {
      const other = ownerOf(right, entry);
      return other?.apiVersion === entry.apiVersion && equalSets(other.fieldsV1, entry.fieldsV1);
    })
  );
}
