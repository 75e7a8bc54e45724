/**
 * What a trip through the Go types would make of an object whose structure is right: no nulls, no empty maps and lists where Go omits them,
 * numbers of quantities as text, resource lists in canonical form, times in UTC.
 */
import { Quantity } from '../quantity.ts';
import { canonicalMicroTime, canonicalTime } from '../time.ts';
import { type FieldType, structType } from './schema.ts';

/** In place. Idempotent. Unknown fields are left alone: whether they are dropped is the request's choice. */
export function normalize(typeName: string, object: object): void {
  normalizeStruct(typeName, object as Record<string, unknown>);
}

function normalizeStruct(typeName: string, value: Record<string, unknown>): void {
  const { fields, required } = structType(typeName);
  for (const [field, member] of Object.entries(value)) {
    const type = fields.get(field);
    if (!type) continue;
    if (member === null || member === undefined || (isEmpty(type, member) && !required.has(field))) delete value[field];
    else value[field] = normalized(type, member);
  }
}

/** Structs stay: they are pointers in Go, and `{}` says something (`emptyDir: {}`). */
function isEmpty(type: FieldType, value: unknown): boolean {
  if (type.form === 'array') return (value as unknown[]).length === 0;
  return type.form === 'map' && Object.keys(value as object).length === 0;
}

function normalized(type: FieldType, value: unknown): unknown {
  if (type.form === 'struct') {
    if (value !== null) normalizeStruct(type.name, value as Record<string, unknown>);
    return value ?? {};
  }
  if (type.form === 'array') return (value as unknown[]).map((item) => normalized(type.of, item));
  if (type.form === 'map') return normalizedMap(type.of, value as Record<string, unknown>);
  if (value === null) return type.scalar === 'any' ? null : zeroOf(type.scalar);
  if (type.scalar === 'quantity') return String(value);
  if (type.scalar === 'time') return canonicalTime(value as string);
  if (type.scalar === 'microtime') return canonicalMicroTime(value as string);
  return value;
}

function normalizedMap(of: FieldType, value: Record<string, unknown>): Record<string, unknown> {
  const isResourceList = of.form === 'scalar' && of.scalar === 'quantity';
  const canonical = (amount: unknown) =>
    Quantity.parse(amount as string)
      .roundedToMilli()
      .toString();
  const entries = Object.entries(value).map(([key, member]) => [
    key,
    isResourceList ? canonical(member ?? 0) : normalized(of, member),
  ]);
  return Object.fromEntries(entries);
}

/** null inside a list or map becomes the element's zero value. */
function zeroOf(scalar: string): unknown {
  if (scalar === 'bool') return false;
  return scalar.startsWith('int') || scalar === 'float64' ? 0 : '';
}
