/** Puts an applied configuration over an object, and takes out of it what a manager no longer applies (KEP-555). */
import { getMember, isJsonObject, type JsonObject, setMember } from '../json.ts';
import { elementsOf, type FieldSet, isMember } from './field-set.ts';
import { declaredMember, isSharedList, isSharedObject, listElement, listParts, memberOf } from './parts.ts';
import type { Structure } from './structure.ts';

/** A new value that shares parts with both; what the configuration does not speak of stays as it is. */
export function mergeApplied(structure: Structure, live: unknown, applied: unknown): unknown {
  if (live === undefined || applied === null) return applied;
  if (isSharedObject(structure, live) && isSharedObject(structure, applied)) {
    const merged: JsonObject = { ...live };
    for (const [name, value] of Object.entries(applied)) {
      if (value !== undefined) {
        setMember(merged, name, mergeApplied(memberOf(structure, name), getMember(live, name), value));
      }
    }
    return merged;
  }
  if (!isSharedList(structure, live) || !isSharedList(structure, applied)) return applied;
  return mergeLists(structure, live, applied);
}

/**
 * Applied elements stand in the order in which they are applied, the others where they stood. Of elements that both have, the next one in applied
 * order takes along those applied before it.
 */
function mergeLists(structure: Structure, live: unknown[], applied: unknown[]): unknown[] {
  const parts = listParts(structure, applied);
  const before = listParts(structure, live);
  if (!parts || !before) return applied;
  const waiting = [...parts];
  const shared = waiting.filter(([element]) => before.has(element)).map(([element]) => element);
  const merged: unknown[] = [];
  const emit = ([element, part]: (typeof waiting)[number]) =>
    merged.push(mergeApplied(part.structure, before.get(element)?.value, part.value));
  for (const item of live) {
    const element = listElement(structure, item) as string;
    if (!parts.has(element)) merged.push(item);
    else if (element === shared[0]) {
      shared.shift();
      for (const part of waiting.splice(0, waiting.findIndex(([other]) => other === element) + 1)) emit(part);
    }
  }
  for (const part of waiting) emit(part);
  return merged;
}

/**
 * Without what is in `last` (what the manager applied before) and in no owner's set now. What goes takes along whatever is beneath it; a list's
 * element that others only own parts of goes too. Undefined when nothing is left.
 */
export function prune(structure: Structure, value: unknown, last: FieldSet, owned: FieldSet): unknown {
  if (isSharedObject(structure, value)) return pruneObject(structure, value, last, owned);
  if (isSharedList(structure, value)) return pruneList(structure, value, last, owned);
  return value;
}

const nothing: FieldSet = Object.freeze({});

function pruneObject(structure: Structure, value: JsonObject, last: FieldSet, owned: FieldSet): unknown {
  let left: JsonObject | undefined;
  for (const [element, lastNode] of elementsOf(last)) {
    const name = element.slice(2);
    if (!element.startsWith('f:') || !Object.hasOwn(value, name)) continue;
    const ownedNode = owned[element];
    // A declared member counts as a whole as soon as something beneath it does.
    const declared = declaredMember(structure, name) !== undefined;
    const before = value[name];
    const after =
      (declared || isMember(lastNode)) && !(ownedNode && (declared || isMember(ownedNode)))
        ? undefined
        : pruneMember(memberOf(structure, name), before, lastNode, ownedNode);
    if (after === before) continue;
    left ??= { ...value };
    if (after === undefined) delete left[name];
    else setMember(left, name, after);
  }
  return left ?? value;
}

function pruneList(structure: Structure, list: unknown[], last: FieldSet, owned: FieldSet): unknown {
  let changed = false;
  const left: unknown[] = [];
  for (const item of list) {
    const element = listElement(structure, item);
    const lastNode = element === undefined ? undefined : last[element];
    if (element === undefined || !lastNode) left.push(item);
    else {
      const ownedNode = owned[element];
      const goes = isMember(lastNode) && !(ownedNode && isMember(ownedNode));
      const of = structure.form === 'keyed' ? structure.of : structure;
      const after = goes ? undefined : prune(of, item, lastNode, ownedNode ?? nothing);
      if (after !== undefined) left.push(after);
      changed ||= after !== item;
    }
  }
  return changed ? left : list;
}

/** A container that is emptied goes too, unless somebody says that it be there. */
function pruneMember(structure: Structure, value: unknown, last: FieldSet, owned: FieldSet = nothing): unknown {
  const after = prune(structure, value, last, owned);
  if (after === value || !isEmptied(after)) return after;
  return isMember(owned) && owned !== nothing ? after : undefined;
}

function isEmptied(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  return isJsonObject(value) && Object.keys(value).length === 0;
}
