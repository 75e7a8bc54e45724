/** Which fields an object has, and which differ between two of its states, as sets of paths (structured-merge-diff's ToFieldSet and Compare). */
import { equalJson, getMember, isJsonObject } from '../json.ts';
import { emptySet, type FieldSet, fieldElement, isEmptySet, leaf, withMember } from './field-set.ts';
import { declaredMember, isSharedList, isSharedObject, listParts, memberOf } from './parts.ts';
import type { Structure } from './structure.ts';

/**
 * Which paths to containers are in the set beside what they contain: of an applied configuration none, for it speaks of its fields alone; of what
 * an update adds, those of maps and lists; of what is gone, all.
 */
type Containers = 'none' | 'lists' | 'all';

/** The fields that a configuration speaks of. */
export function fieldsOf(structure: Structure, value: unknown): FieldSet {
  return nodeOf(structure, value, 'none') ?? emptySet;
}

/** Undefined: nothing beneath, and whether the path itself counts is for the caller to say. */
function nodeOf(structure: Structure, value: unknown, containers: Containers): FieldSet | undefined {
  const children: Record<string, FieldSet> = {};
  if (isSharedObject(structure, value)) {
    for (const name of Object.keys(value)) {
      const member = value[name];
      if (member === undefined) continue;
      const inner = memberOf(structure, name);
      const node = nodeOf(inner, member, containers);
      const counts = countsItself(structure, name, inner, containers) || member === null || isEmptyObject(member);
      const child = counts ? withMember(node) : node;
      if (child) children[fieldElement(name)] = child;
    }
  } else if (isSharedList(structure, value)) {
    const parts = listParts(structure, value);
    if (!parts) return leaf;
    for (const [element, part] of parts) children[element] = withMember(nodeOf(part.structure, part.value, containers));
  } else return leaf;
  return isEmptySet(children) ? undefined : children;
}

const isEmptyObject = (value: unknown) => isJsonObject(value) && isEmptySet(value as FieldSet);

/** A map's entries count themselves, a declared member only where containers do. */
function countsItself(structure: Structure, name: string, inner: Structure, containers: Containers): boolean {
  if (!declaredMember(structure, name) || containers === 'all') return true;
  return containers === 'lists' && inner.form !== 'fields' && inner.form !== 'whole';
}

export interface Difference {
  /** Added or modified. */
  changed: FieldSet;
  removed: FieldSet;
}

/** From `before` to `after`. An absent object (undefined) has no fields. */
export function compare(structure: Structure, before: unknown, after: unknown): Difference {
  const { changed = emptySet, removed = emptySet } = differenceOf(structure, before ?? {}, after ?? {}, false) ?? {};
  return { changed, removed };
}

/** `counts`: the path itself is one of what was added, should all of it be new. */
function differenceOf(
  structure: Structure,
  before: unknown,
  after: unknown,
  counts: boolean,
): Partial<Difference> | undefined {
  // What Go writes as null is absent where it is stored.
  if (before === after || (before ?? after ?? null) === null) return undefined;
  if (after === undefined) return { removed: withMember(nodeOf(structure, before, 'all')) };
  const added = () => {
    const node = nodeOf(structure, after, 'lists');
    return { changed: counts ? withMember(node) : (node ?? leaf) };
  };
  if (before === undefined) return added();
  if (isSharedObject(structure, before) && isSharedObject(structure, after)) {
    return objectDifference(structure, before, after);
  }
  if (equalJson(before, after)) return undefined;
  if (!isSharedList(structure, before) || !isSharedList(structure, after)) return added();
  return listDifference(structure, before, after);
}

function objectDifference(structure: Structure, before: Record<string, unknown>, after: Record<string, unknown>) {
  const found = new Found();
  const member = (name: string, was: unknown, is: unknown) => {
    if (was === is) return;
    const inner = memberOf(structure, name);
    const counts = countsItself(structure, name, inner, 'lists');
    found.add(fieldElement(name), differenceOf(inner, was, is, counts));
  };
  for (const name of Object.keys(before)) member(name, before[name], getMember(after, name));
  for (const name of Object.keys(after)) if (!Object.hasOwn(before, name)) member(name, undefined, after[name]);
  return found.difference;
}

function listDifference(structure: Structure, before: unknown[], after: unknown[]) {
  const was = listParts(structure, before);
  const is = listParts(structure, after);
  if (!was || !is) return { changed: leaf };
  const found = new Found();
  for (const element of new Set([...was.keys(), ...is.keys()])) {
    const [a, b] = [was.get(element), is.get(element)];
    // An element that stands there twice is one value, and so is what it was before or becomes.
    const inner = a && b && a.structure !== b.structure ? { form: 'whole' as const } : (b ?? a)!.structure;
    found.add(element, differenceOf(inner, a?.value, b?.value, true));
  }
  return found.difference;
}

class Found {
  readonly #changed: Record<string, FieldSet> = {};
  readonly #removed: Record<string, FieldSet> = {};

  add(element: string, found: Partial<Difference> | undefined): void {
    if (found?.changed) this.#changed[element] = found.changed;
    if (found?.removed) this.#removed[element] = found.removed;
  }

  get difference(): Partial<Difference> | undefined {
    const [changed, removed] = [!isEmptySet(this.#changed), !isEmptySet(this.#removed)];
    if (!changed && !removed) return undefined;
    return { ...(changed ? { changed: this.#changed } : {}), ...(removed ? { removed: this.#removed } : {}) };
  }
}
