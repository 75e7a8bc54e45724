/** The structure of every type we serve, out of generated/schemas.json. It knows nothing of defaults or validity. */
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

const known = (schemas as unknown as SchemaData).types;
/** Parsed when first asked for: most types never are. */
const parsed = new Map<string, StructType>();

/** Throws for a name the generated file does not have: a mistake in this program. */
export function structType(name: string): StructType {
  let type = parsed.get(name);
  if (!type) {
    type = parseStruct(name);
    parsed.set(name, type);
  }
  return type;
}

function parseStruct(name: string): StructType {
  if (!hasStructType(name)) {
    throw new RangeError(
      `api/src/generated/schemas.json has no type ${name}; add its root to tools/generate-schemas.ts`,
    );
  }
  const { fields, required } = known[name]!;
  const types = Object.entries(fields).map(([field, type]) => [field, parseType(type)] as const);
  return { name, fields: new Map(types), required: new Set(required) };
}

export function hasStructType(name: string): boolean {
  return Object.hasOwn(known, name);
}

/** The name of a kind's type: group '' is `core`. */
export function typeNameOf(group: string, version: string, kind: string): string {
  return `${group || 'core'}/${version}.${kind}`;
}
