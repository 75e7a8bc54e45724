/**
 * What a trip through the Go types would make of an object whose structure is right: no nulls, no empty maps, lists and flags where Go omits them,
 * numbers of quantities as text, resource lists in canonical form, times in UTC, and zero values where Go always writes one.
 */
import { Quantity } from '../quantity.ts';
import { canonicalMicroTime, canonicalTime } from '../time.ts';
import { plainFlags } from './plain-flags.ts';
import { type FieldType, type Scalar, structType } from './schema.ts';

/** In place. Idempotent. Unknown fields are left alone: whether they are dropped is the request's choice. */
export function normalize(typeName: string, object: object): void {
  normalizeStruct(typeName, object as Record<string, unknown>);
}

function normalizeStruct(typeName: string, value: Record<string, unknown>): void {
  const { fields, required } = structType(typeName);
  for (const [field, member] of Object.entries(value)) {
    const type = fields.get(field);
    if (!type) continue;
    const isSaid = !isEmpty(type, member) && !(member === false && plainFlags.has(`${typeName}.${field}`));
    if (member === null || member === undefined || (!isSaid && !required.has(field))) delete value[field];
    else value[field] = normalized(type, member);
  }
  for (const field of required) {
    const type = fields.get(field);
    if (!type || value[field] !== undefined) continue;
    const zero =
      type.form === 'struct' ? normalized(type, {}) : type.form === 'scalar' ? zeroOf(type.scalar) : undefined;
    if (zero !== undefined) value[field] = zero;
  }
}

/** Structs stay: they are pointers in Go, and `{}` says something (`emptyDir: {}`). */
function isEmpty(type: FieldType, value: unknown): boolean {
  if (value === null || value === undefined) return true;
  if (type.form === 'array') return (value as unknown[]).length === 0;
  return type.form === 'map' && Object.keys(value as object).length === 0;
}

function normalized(type: FieldType, value: unknown): unknown {
  if (type.form === 'struct') {
    const struct = (value ?? {}) as Record<string, unknown>;
    normalizeStruct(type.name, struct);
    return struct;
  }
  if (type.form !== 'scalar' && value === null) return null;
  if (type.form === 'array') return (value as unknown[]).map((item) => normalized(type.of, item));
  if (type.form === 'map') return normalizedMap(type.of, value as Record<string, unknown>);
  if (value === null) return zeroOf(type.scalar) ?? null;
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

/** What a plain Go value is when nobody sets it; undefined for those that Go leaves out or writes as null. */
function zeroOf(scalar: Scalar): unknown {
  switch (scalar) {
    case 'string':
    case 'bytes':
      return '';
    case 'bool':
      return false;
    case 'int32':
    case 'int64':
    case 'float64':
    case 'intorstr':
      return 0;
    case 'quantity':
      return '0';
    default:
      return undefined;
  }
}
