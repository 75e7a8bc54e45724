/**
 * Strategic merge patch (apimachinery util/strategicpatch): a merge patch that knows which lists are sets of named things (merge-keys.ts).
 *
 * Directives, all of them members of the patch:
 *   $patch: replace | delete | merge         on an object or a list's element
 *   $retainKeys: [names]                     of this object only these members stay
 *   $deleteFromPrimitiveList/FIELD: [values] takes these out of a list of plain values
 *   $setElementOrder/FIELD: [keys]           the order the list has afterwards
 */
import { SampanError } from '../errors.ts';
import { cloneJson, equalJson, getMember, isJsonObject, type JsonObject, setMember } from '../json.ts';
import type { Kind } from '../kind.ts';
import { type FieldType, hasStructType, structType, typeNameOf } from '../schema/schema.ts';
import { inPatchOrder, type KeyOf } from './element-order.ts';
import { type ListStrategy, listStrategy } from './merge-keys.ts';

const maxComparisons = 10_000_000;
const orderPrefix = '$setElementOrder/';
const deletePrefix = '$deleteFromPrimitiveList/';

/** A patched copy; `document` is left alone. Throws BadRequest for a patch that is malformed. */
export function applyStrategicMergePatch<T>(document: T, patch: unknown, kind: Pick<Kind, 'ref' | 'kind'>): T {
  if (!isJsonObject(patch)) throw bad('a strategic merge patch is an object');
  const type = typeNameOf(kind.ref.group, kind.ref.version, kind.kind);
  return mergeObject(cloneJson(document) as JsonObject, cloneJson(patch), type) as T;
}

function bad(message: string): SampanError {
  return new SampanError('BadRequest', message);
}

/** `type` is the name of the struct both are of, undefined where the schema ends. Changes and returns `original`. */
function mergeObject(original: JsonObject, patch: JsonObject, type: string | undefined): JsonObject {
  const { $patch: directive, $retainKeys: retained, ...rest } = patch;
  if (directive === 'replace') return mergeObject({}, rest, type);
  if (directive === 'delete') return {};
  if (directive !== undefined && directive !== 'merge') {
    throw bad(`Unknown patch type found: map[$patch:${JSON.stringify(directive)}]`);
  }
  if (retained !== undefined) retainKeys(original, rest, retained);
  for (const [field, values] of directives(rest, deletePrefix)) deleteValues(original, field, values);
  const orders = new Map(directives(rest, orderPrefix));
  for (const [name, value] of Object.entries(rest)) {
    if (name.startsWith(deletePrefix) || name.startsWith(orderPrefix)) continue;
    if (value === null) delete original[name];
    else
      setMember(original, name, mergeMember(getMember(original, name), value, { type, name, order: orders.get(name) }));
  }
  for (const [name, order] of orders) {
    const before = getMember(original, name);
    if (name in rest || !Array.isArray(before)) continue;
    setMember(original, name, mergeMember(before, [], { type, name, order }));
  }
  return original;
}

function directives(patch: JsonObject, prefix: string): [string, unknown][] {
  const found = Object.entries(patch).filter(([name]) => name.startsWith(prefix));
  return found.map(([name, value]) => [name.slice(prefix.length), value]);
}

interface Member {
  /** Struct the member belongs to. */
  type: string | undefined;
  name: string;
  /** Its $setElementOrder, where there is one. */
  order: unknown;
}

function mergeMember(before: unknown, value: unknown, member: Member): unknown {
  const inner = innerStruct(member);
  if (isJsonObject(value)) return mergeObject(isJsonObject(before) ? before : {}, value, inner);
  if (!Array.isArray(value)) return value;
  const strategy = member.type === undefined ? undefined : listStrategy(member.type, member.name);
  if (!strategy) return value.map((item) => (isJsonObject(item) ? mergeObject({}, item, inner) : item));
  const old = Array.isArray(before) ? before : [];
  // Each element is sought among all: a list of very many would take very long.
  if ((old.length + value.length) * value.length > maxComparisons) {
    throw new SampanError('RequestEntityTooLarge', `${member.name}: too many elements for a strategic merge patch`);
  }
  const keyOf = keyReader(strategy, member.name);
  const replacement = value.filter((item) => !isDirective(item, 'replace'));
  if (replacement.length < value.length) {
    return replacement.map((item) => (isJsonObject(item) ? mergeObject({}, item, inner) : item));
  }
  const merged = strategy.mergeKey ? mergeElements(old, value, { keyOf, inner }) : union(old, value);
  const named = value.filter((item) => !isDirective(item, 'delete')).map(keyOf);
  return inPatchOrder(merged, orderedKeys(member, keyOf, named) ?? named, old, keyOf);
}

/** The struct that the member, or an element of it, is of. */
function innerStruct({ type, name }: Member): string | undefined {
  if (type === undefined || !hasStructType(type)) return undefined;
  let field: FieldType | undefined = structType(type).fields.get(name);
  while (field?.form === 'array') field = field.of;
  return field?.form === 'struct' ? field.name : undefined;
}

const isDirective = (item: unknown, directive: string) => isJsonObject(item) && item.$patch === directive;

function keyReader({ mergeKey }: ListStrategy, field: string): KeyOf {
  if (!mergeKey) return (item) => item;
  return (item) => {
    if (!isJsonObject(item)) throw bad(`${field}: expected a list of objects, found ${JSON.stringify(item)}`);
    const key = getMember(item, mergeKey);
    if (key === undefined || key === null) {
      throw bad(`${field}: map: ${JSON.stringify(item)} does not contain declared merge key: ${mergeKey}`);
    }
    return key;
  };
}

/** Each element of the patch changes the element of its key, deletes it, or is new. */
function mergeElements(old: unknown[], patch: unknown[], how: { keyOf: KeyOf; inner: string | undefined }): unknown[] {
  const { keyOf, inner } = how;
  let merged = [...old];
  for (const item of patch) {
    const key = keyOf(item);
    const isSame = (other: unknown) => equalJson(keyOf(other), key);
    if (isDirective(item, 'delete')) merged = merged.filter((other) => !isSame(other));
    else {
      const at = merged.findIndex(isSame);
      const before = at >= 0 ? (merged[at] as JsonObject) : {};
      merged.splice(at >= 0 ? at : merged.length, at >= 0 ? 1 : 0, mergeObject(before, item as JsonObject, inner));
    }
  }
  return merged;
}

function union(old: unknown[], added: unknown[]): unknown[] {
  const all = [...old, ...added];
  return all.filter((item, i) => all.findIndex((other) => equalJson(other, item)) === i);
}

/** Keys of $setElementOrder, which has to name everything that the patch touches. */
function orderedKeys({ name, order }: Member, keyOf: KeyOf, patched: unknown[]): unknown[] | undefined {
  if (order === undefined) return undefined;
  if (!Array.isArray(order))
    throw bad(`invalid patch format of setElementOrder list: ${orderPrefix}${name} must be a list`);
  const keys = order.map(keyOf);
  const missing = patched.find((key) => !keys.some((other) => equalJson(other, key)));
  if (missing === undefined) return keys;
  throw bad(
    `The order in patch list: ${JSON.stringify(missing)} doesn't match ${orderPrefix}${name} list: ${JSON.stringify(keys)}`,
  );
}

function retainKeys(original: JsonObject, patch: JsonObject, retained: unknown): void {
  if (!Array.isArray(retained)) throw bad('invalid patch format of retainKeys: $retainKeys must be a list');
  for (const [name, value] of Object.entries(patch)) {
    if (value === null || name.startsWith('$') || retained.includes(name)) continue;
    throw bad(`invalid patch format of retainKeys: ${name} is patched but not retained`);
  }
  for (const name of Object.keys(original)) if (!retained.includes(name)) delete original[name];
}

function deleteValues(original: JsonObject, field: string, values: unknown): void {
  if (!Array.isArray(values))
    throw bad(`invalid patch format of primitive list: ${deletePrefix}${field} must be a list`);
  const before = getMember(original, field);
  if (!Array.isArray(before)) return;
  const left = before.filter((item) => !values.some((value) => equalJson(value, item)));
  setMember(original, field, left);
}
