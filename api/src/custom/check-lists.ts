/** The rules of a schema for lists: how long, and for sets and maps that no element is there twice (x-kubernetes-list-type). */
import type { Cause } from '../errors.ts';
import { duplicate, invalid, tooMany } from '../field-errors.ts';
import { getMember, isJsonObject } from '../json.ts';
import { type CustomSchema, itemsOf } from './custom-schema.ts';

export function checkItems(list: unknown[], schema: CustomSchema, field: string): Cause[] {
  const causes: Cause[] = [];
  const { minItems, maxItems } = schema;
  if (minItems !== undefined && list.length < minItems) {
    causes.push(invalid(field, list.length, `${field} in body should have at least ${minItems} items`));
  }
  if (maxItems !== undefined && list.length > maxItems) causes.push(tooMany(field, list.length, maxItems));
  const keyOf = keyReader(schema);
  return keyOf ? [...causes, ...duplicates(list, keyOf, field)] : causes;
}

/** What an item of a set or a map is told apart by, as a text; undefined for other lists. */
export function itemKeyReader(schema: CustomSchema): ((item: unknown) => string) | undefined {
  const keyOf = keyReader(schema);
  return keyOf && ((item) => canonical(keyOf(item)));
}

function keyReader(schema: CustomSchema): ((item: unknown) => unknown) | undefined {
  const { 'x-kubernetes-list-type': type, 'x-kubernetes-list-map-keys': keys = [] } = schema;
  if (type === 'set') return (item) => item;
  if (type !== 'map') return undefined;
  const fallback = (key: string) => itemsOf(schema)?.properties?.[key]?.default;
  return (item) =>
    Object.fromEntries(keys.map((key) => [key, isJsonObject(item) ? (getMember(item, key) ?? fallback(key)) : item]));
}

function duplicates(list: unknown[], keyOf: (item: unknown) => unknown, field: string): Cause[] {
  const seen = new Set<string>();
  return list.flatMap((item, i) => {
    const key = keyOf(item);
    const text = canonical(key);
    if (seen.has(text)) return [duplicate(`${field}[${i}]`, key)];
    seen.add(text);
    return [];
  });
}

/** Equal values have equal texts, whatever the order of their members. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, member) => {
    if (!isJsonObject(member)) return member;
    return Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
