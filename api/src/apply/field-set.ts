/**
 * Sets of field paths, in the very form in which managedFields carries them (meta/v1 FieldsV1; KEP-555): a tree of path elements.
 *
 *   f:NAME    a member of an object        k:{JSON}  the element of a list with these keys
 *   v:JSON    an element of a set          .         the path that leads here is in the set itself
 *
 * A node without members is in the set and has nothing beneath; the root never is, so there `{}` is the empty set. Sets are never changed once
 * made: parts of them are shared freely, with each other and with stored objects. Nothing here knows what the paths lead to.
 */
import { SampanError } from '../errors.ts';
import { isJsonObject } from '../json.ts';

export interface FieldSet {
  readonly [element: string]: FieldSet;
}

/** A path alone: nothing beneath it. The one leaf there is, so that sets take little room. */
export const leaf: FieldSet = Object.freeze({});
export const emptySet: FieldSet = leaf;

const self = '.';

/** Deeper than any object the server takes. */
const maxDepth = 110;

export function isEmptySet(set: FieldSet): boolean {
  for (const _ in set) return false;
  return true;
}

/** Whether the path that leads to `node` is in the set. */
export function isMember(node: FieldSet): boolean {
  return self in node || isEmptySet(node);
}

/** The node with the path to it in the set. */
export function withMember(node: FieldSet | undefined): FieldSet {
  if (!node) return leaf;
  return isMember(node) ? node : { [self]: leaf, ...node };
}

/** Elements beneath a node; `.` is none. */
export function* elementsOf(node: FieldSet): Iterable<[element: string, child: FieldSet]> {
  for (const element of Object.keys(node)) if (element !== self) yield [element, node[element] as FieldSet];
}

/** A node that is in the set (`member`) with these beneath it; undefined when nothing is left of it. */
function nodeOf(member: boolean, children: Record<string, FieldSet>): FieldSet | undefined {
  if (isEmptySet(children)) return member ? leaf : undefined;
  return member ? { [self]: leaf, ...children } : children;
}

export function union(a: FieldSet, b: FieldSet): FieldSet {
  if (isEmptySet(a)) return b;
  if (isEmptySet(b)) return a;
  return unionOf(a, b, false) ?? emptySet;
}

function unionOf(a: FieldSet, b: FieldSet, member: boolean): FieldSet | undefined {
  if (a === b) return a;
  const children: Record<string, FieldSet> = {};
  for (const [element, child] of elementsOf(a)) {
    const other = b[element];
    children[element] = other ? (unionOf(child, other, isMember(child) || isMember(other)) as FieldSet) : child;
  }
  for (const [element, child] of elementsOf(b)) children[element] ??= child;
  return nodeOf(member, children);
}

/** What is in `a` and not in `b`, path by path: a path stays when only one above it is in `b`. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  if (isEmptySet(a) || isEmptySet(b)) return a;
  return differenceOf(a, b, false) ?? emptySet;
}

function differenceOf(a: FieldSet, b: FieldSet, member: boolean): FieldSet | undefined {
  const children: Record<string, FieldSet> = {};
  for (const [element, child] of elementsOf(a)) {
    const other = b[element];
    const left = other ? differenceOf(child, other, isMember(child) && !isMember(other)) : child;
    if (left) children[element] = left;
  }
  return nodeOf(member, children);
}

export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  if (isEmptySet(a) || isEmptySet(b)) return emptySet;
  return intersectionOf(a, b, false) ?? emptySet;
}

function intersectionOf(a: FieldSet, b: FieldSet, member: boolean): FieldSet | undefined {
  const children: Record<string, FieldSet> = {};
  for (const [element, child] of elementsOf(a)) {
    const other = b[element];
    const both = other && intersectionOf(child, other, isMember(child) && isMember(other));
    if (both) children[element] = both;
  }
  return nodeOf(member, children);
}

/** Only the paths that no other path of the set goes through. */
export function innermost(set: FieldSet): FieldSet {
  const children: Record<string, FieldSet> = {};
  for (const [element, child] of elementsOf(set)) children[element] = innermost(child);
  return isEmptySet(children) ? leaf : children;
}

export function equalSets(a: FieldSet, b: FieldSet): boolean {
  if (a === b) return true;
  const names = Object.keys(a);
  if (names.length !== Object.keys(b).length) return false;
  return names.every((name) => Object.hasOwn(b, name) && equalSets(a[name] as FieldSet, b[name] as FieldSet));
}

/** Every path of the set, each as its elements. */
export function* pathsOf(set: FieldSet, above: readonly string[] = []): Iterable<readonly string[]> {
  for (const [element, child] of elementsOf(set)) {
    const path = [...above, element];
    if (isMember(child)) yield path;
    yield* pathsOf(child, path);
  }
}

/** The same set with elements in order, so that equal sets are written alike. */
export function inOrder(set: FieldSet): FieldSet {
  const names = Object.keys(set);
  if (names.length === 0) return leaf;
  // A frozen set came out of the store, where they all are in order.
  if (Object.isFrozen(set)) return set;
  const sorted: Record<string, FieldSet> = {};
  for (const name of names.sort()) sorted[name] = inOrder(set[name] as FieldSet);
  return sorted;
}

/** As the error messages of Kubernetes show it: `.spec.containers[name="web"].image`. */
export function pathText(path: readonly string[]): string {
  return path.map(elementText).join('');
}

export function elementText(element: string): string {
  const rest = element.slice(2);
  if (element.startsWith('k:')) {
    const keys = Object.entries(JSON.parse(rest) as Record<string, unknown>);
    return `[${keys.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(',')}]`;
  }
  return element.startsWith('v:') ? `[=${rest}]` : element.startsWith('i:') ? `[${rest}]` : `.${rest}`;
}

/** A set as a client sent it, with keys in one spelling. Throws BadRequest for anything that is none. */
export function parseFieldSet(value: unknown, depth = 0): FieldSet {
  if (!isJsonObject(value) || depth > maxDepth) throw malformed('fieldsV1 must be a tree of path elements');
  const names = Object.keys(value);
  if (names.every((name) => name === self && depth > 0)) return leaf;
  const nodes = names.map((name) => {
    const element = name === self && depth > 0 ? self : parseElement(name);
    return [element, element === self ? leaf : parseFieldSet(value[name], depth + 1)];
  });
  return Object.fromEntries(nodes);
}

function parseElement(element: string): string {
  const rest = element.slice(2);
  switch (element.slice(0, 2)) {
    case 'f:':
      return element;
    case 'i:':
      if (/^\d+$/.test(rest)) return element;
      break;
    case 'v:':
      return valueElement(parseJson(rest, element));
    case 'k:': {
      const keys = parseJson(rest, element);
      if (isJsonObject(keys)) return keyElement(Object.entries(keys));
    }
  }
  throw malformed(`fieldsV1 has no path element such as ${JSON.stringify(element)}`);
}

function parseJson(text: string, element: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw malformed(`fieldsV1: ${JSON.stringify(element)} is no JSON`);
  }
}

const malformed = (message: string) => new SampanError('BadRequest', message);

/** The element of an object's member. */
export const fieldElement = (name: string): string => `f:${name}`;

/** The element of a set's value. */
export const valueElement = (value: unknown): string => `v:${JSON.stringify(value)}`;

/** The element of a list whose elements are told apart by these keys, in whatever order they come. */
export function keyElement(keys: [name: string, value: unknown][]): string {
  if (keys.length > 1) keys.sort(([a], [b]) => (a < b ? -1 : 1));
  return `k:${JSON.stringify(Object.fromEntries(keys))}`;
}
