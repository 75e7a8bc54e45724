/**
 * Who owns what after a write: the two ways in which managedFields change (KEP-555, structured-merge-diff's Updater).
 *
 *   update   the writer owns what it changed; everybody loses what was changed by another or removed
 *   apply    the manager owns exactly what it applies; what it applied before and nobody owns now is taken out of the object; a field that another
 *            owns with another value is a conflict, unless forced
 *
 * Pure: objects and entries in, objects and entries out. Does not know requests, defaults or admission.
 */
import { isJsonObject, type JsonObject } from '../json.ts';
import { compare, type Difference, fieldsOf } from './compare.ts';
import {
  difference,
  emptySet,
  equalSets,
  type FieldSet,
  innermost,
  intersection,
  isEmptySet,
  leaf,
  pathsOf,
  union,
} from './field-set.ts';
import {
  capUpdaters,
  changeSets,
  type Identity,
  isSameManager,
  type ManagedEntry,
  ownerOf,
  sortOwners,
  withOwner,
} from './managers.ts';
import { mergeApplied, prune } from './merge.ts';
import type { Structure } from './structure.ts';

export interface Write {
  structure: Structure;
  /** Without managedFields, as all objects here. undefined: it is created. */
  before: object | undefined;
  owners: ManagedEntry[];
  by: Identity;
  /** RFC 3339. */
  time: string;
  /** Whether a write to this subresource reaches the member of this name at all; others are neither compared nor owned. */
  reaches(name: string): boolean;
}

/** What nobody owns: it says which object this is, or the server alone writes it. */
const systemMetadata = [
  'name',
  'namespace',
  'creationTimestamp',
  'selfLink',
  'uid',
  'generation',
  'managedFields',
  'resourceVersion',
].map((name) => [`f:${name}`, leaf]);

const system: FieldSet = {
  'f:apiVersion': leaf,
  'f:kind': leaf,
  'f:metadata': { '.': leaf, ...Object.fromEntries(systemMetadata) },
};

const beforeTracking: Omit<Identity, 'apiVersion'> = { manager: 'before-first-apply', operation: 'Update' };

/** Path by path: the members of metadata stay although metadata itself goes. */
const ownable = (fields: FieldSet) => difference(fields, system);

function reached(object: object, reaches: Write['reaches']): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([name]) => reaches(name)));
}

/** The owners after somebody made `after` of the object. They are the very same array when nothing changed hands. */
export function ownersAfterUpdate(write: Write, after: object): ManagedEntry[] {
  const { structure, before = {}, owners, by, time, reaches } = write;
  const found = compare(structure, reached(before, reaches), reached(after, reaches));
  if (isEmptySet(found.changed) && isEmptySet(found.removed)) return owners;
  const taken = ownable(found.changed);
  const rest = ownersAfterChange(owners, found, by);
  const previous = ownerOf(owners, by)?.fieldsV1 ?? emptySet;
  const left = difference(previous, found.removed);
  if (isEmptySet(taken)) return sortOwners(equalSets(left, previous) ? rest : withOwner(rest, by, left, time));
  // Most writers write the same fields again and again: their set stays the very same.
  const own = isEmptySet(difference(taken, left)) ? left : union(left, taken);
  return sortOwners(capUpdaters(withOwner(rest, by, equalSets(own, previous) ? previous : own, time)));
}

/** What another changed or removed, nobody else owns any more. Who wants a map or list to be there is content with whatever comes into it. */
function ownersAfterChange(owners: ManagedEntry[], { changed, removed }: Difference, except?: Identity) {
  if (owners.length === 0) return owners;
  const values = innermost(changed);
  return changeSets(owners, (entry) => {
    if (except && isSameManager(entry, except)) return entry.fieldsV1;
    return difference(difference(entry.fieldsV1, values), removed);
  });
}

export interface Conflict {
  with: ManagedEntry;
  path: readonly string[];
}

export type Applied =
  | { conflicts: Conflict[] }
  | { conflicts?: undefined; object: JsonObject; owners: ManagedEntry[]; isSame: boolean };

/** `applied` is what the manager wants, with nothing but what it has an opinion on. */
export function applyConfiguration(write: Write, applied: object, force: boolean): Applied {
  const { structure, by, time, reaches } = write;
  const before = reached(write.before ?? {}, reaches);
  const wanted = reached(applied, reaches);
  const owners = trackedOwners(write, before);
  const merged = mergeApplied(structure, before, wanted);
  const last = ownerOf(owners, by);
  const named = fieldsOf(structure, wanted);
  const fields = ownable(named);
  const next = withOwner(owners, by, fields, last?.time ?? time);
  // With what says which object this is: metadata stays when the last label goes.
  const object = last ? prune(structure, merged, last.fieldsV1, union(allFields(next), named)) : merged;
  if (!isJsonObject(object)) throw new TypeError('an applied object is an object');
  const found = compare(structure, before, object);
  const others = next.filter((entry) => !isSameManager(entry, by));
  const conflicts = conflictsOf(others, innermost(found.changed));
  if (conflicts.length > 0 && !force) return { conflicts };
  const after = ownersAfterChange(next, found, by);
  const isSame = isEmptySet(found.changed) && isEmptySet(found.removed);
  const whole = { ...reached(write.before ?? {}, (name) => !reaches(name)), ...object };
  return { object: whole, owners: sortOwners(isSame ? after : withOwner(after, by, fields, time)), isSame };
}

function allFields(owners: ManagedEntry[]): FieldSet {
  return owners.reduce((all, { fieldsV1 }) => union(all, fieldsV1), emptySet);
}

function conflictsOf(owners: ManagedEntry[], changed: FieldSet): Conflict[] {
  return owners.flatMap((entry) =>
    [...pathsOf(intersection(entry.fieldsV1, changed))].map((path) => ({ with: entry, path })),
  );
}

/** An object whose owners nobody recorded is first given to one who stands for all of them. */
function trackedOwners({ structure, owners, by, time }: Write, before: JsonObject): ManagedEntry[] {
  if (owners.length > 0) return owners;
  const identity = { ...beforeTracking, apiVersion: by.apiVersion, subresource: by.subresource };
  const fields = ownable(compare(structure, undefined, before).changed);
  return withOwner([], identity, fields, time);
}

const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';

/**
 * Whether conflicts come of nothing but a client-side `kubectl apply` before: every field is in its annotation, and still as it says. Then
 * kubectl's own server-side apply takes over (KEP-555, "upgrade from client-side apply").
 */
export function isOwnClientApply(
  structure: Structure,
  live: object,
  conflicts: Conflict[],
  apiVersion: string,
): boolean {
  const text = lastAppliedOf(live);
  if (!text) return false;
  try {
    const configuration: unknown = JSON.parse(text);
    if (!isJsonObject(configuration) || configuration.apiVersion !== apiVersion) return false;
    const { changed, removed } = compare(structure, configuration, live);
    const unchanged = difference(difference(fieldsOf(structure, configuration), changed), removed);
    return conflicts.every(({ path }) => !isEmptySet(intersection(pathSet(path), unchanged)));
  } catch {
    // Anybody may write the annotation, and what is too deep to be walked through says nothing either.
    return false;
  }
}

export function lastAppliedOf(object: object): string | undefined {
  const { metadata } = object as { metadata?: { annotations?: Record<string, unknown> } };
  const text = metadata?.annotations?.[lastApplied];
  return typeof text === 'string' && text ? text : undefined;
}

/** kubectl's annotation is kept in step, so that one may go back to client-side apply. */
export function withLastApplied(object: JsonObject, configuration: JsonObject): JsonObject {
  const { metadata } = object as { metadata?: { annotations?: JsonObject } };
  const own = configuration.metadata as { annotations?: JsonObject } | undefined;
  const { [lastApplied]: _, ...annotations } = own?.annotations ?? {};
  const plain = { ...configuration, metadata: { ...own, ...(own?.annotations ? { annotations } : {}) } };
  const text = `${JSON.stringify(plain)}\n`;
  return { ...object, metadata: { ...metadata, annotations: { ...metadata?.annotations, [lastApplied]: text } } };
}

function pathSet(path: readonly string[]): FieldSet {
  return path.reduceRight<FieldSet>((beneath, element) => ({ [element]: beneath }), leaf);
}
