/** The structure of every type we serve, parsed once from generated/schemas.json. It knows nothing of defaults or validity. */
import schemas from '../generated/schemas.json' with { type: 'json' };
import type { SchemaData } from './schema-data.ts';

export type Scalar =
  | 'string'
  | 'bool'
  | 'int32'
  | 'int64'
  | 'float64'
  | 'bytes'
  | 'time'
  | 'microtime'
  | 'quantity'
  | 'intorstr'
  | 'any';

export type FieldType =
  | { form: 'scalar'; scalar: Scalar }
  | { form: 'struct'; name: string }
  | { form: 'array'; of: FieldType }
  | { form: 'map'; of: FieldType };

export interface StructType {
  /** Such as `core/v1.Container`. */
  name: string;
  fields: Map<string, FieldType>;
  required: ReadonlySet<string>;
}

const scalars = new Set<string>([
  'string',
  'bool',
  'int32',
  'int64',
  'float64',
  'bytes',
  'time',
  'microtime',
  'quantity',
  'intorstr',
  'any',
] satisfies Scalar[]);

function parseType(text: string): FieldType {
  if (text.startsWith('[]')) return { form: 'array', of: parseType(text.slice(2)) };
  if (text.startsWith('map[string]')) return { form: 'map', of: parseType(text.slice('map[string]'.length)) };
  return scalars.has(text) ? { form: 'scalar', scalar: text as Scalar } : { form: 'struct', name: text };
}

const types = new Map<string, StructType>();
for (const [name, { fields, required }] of Object.entries((schemas as unknown as SchemaData).types)) {
  const parsed = Object.entries(fields).map(([field, type]) => [field, parseType(type)] as const);
  types.set(name, { name, fields: new Map(parsed), required: new Set(required) });
}

/** Throws for a name the generated file does not have: a mistake in this program. */
export function structType(name: string): StructType {
  const type = types.get(name);
  if (!type)
    throw new RangeError(
      `api/src/generated/schemas.json has no type ${name}; add its root to tools/generate-schemas.ts`,
    );
  return type;
}

export function hasStructType(name: string): boolean {
  return types.has(name);
}

/** The name of a kind's type: group '' is `core`. */
export function typeNameOf(group: string, version: string, kind: string): string {
  return `${group || 'core'}/${version}.${kind}`;
}
