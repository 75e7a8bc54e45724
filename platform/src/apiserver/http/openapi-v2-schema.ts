/**
 * Schemas of OpenAPI v3 in the words of v2, which has fewer: what kubectl's validation of that time cannot read is left out, as kube-apiserver
 * leaves it out (apiextensions-apiserver pkg/controller/openapi/v2).
 */

const bounds = [
  'title',
  'default',
  'enum',
  'pattern',
  'maxLength',
  'minLength',
  'maximum',
  'exclusiveMaximum',
  'minimum',
  'exclusiveMinimum',
  'multipleOf',
  'maxItems',
  'minItems',
  'uniqueItems',
  'maxProperties',
  'minProperties',
] as const;

type Bounds = { [name in (typeof bounds)[number]]?: unknown };

export interface SchemaV2 extends Bounds {
  $ref?: string;
  description?: string;
  type?: string;
  format?: string;
  required?: string[];
  properties?: Record<string, SchemaV2>;
  items?: SchemaV2;
  additionalProperties?: SchemaV2;
  [extension: `x-${string}`]: unknown;
}

export interface SchemaV3 extends Omit<SchemaV2, 'properties' | 'items' | 'additionalProperties'> {
  nullable?: boolean;
  properties?: Record<string, SchemaV3>;
  items?: SchemaV3;
  additionalProperties?: SchemaV3 | boolean;
  allOf?: SchemaV3[];
  oneOf?: SchemaV3[];
}

const preserves = 'x-kubernetes-preserve-unknown-fields';
const ofKind = 'x-kubernetes-group-version-kind';

/** v2 has no oneOf, and its references stand alone but for words. */
export function schemaV2(schema: SchemaV3): SchemaV2 {
  const { $ref, allOf, description } = schema;
  const reference = $ref ?? allOf?.[0]?.$ref;
  const words = description ? { description } : {};
  if (reference)
    return { $ref: reference.replace('#/components/schemas/', '#/definitions/'), ...words, ...extensionsOf(schema) };
  // kubectl would take every field that is not named for an unknown one.
  if (schema[preserves] && schema[ofKind]) return { type: 'object', [ofKind]: schema[ofKind] };
  return { ...words, ...shapeOf(schema), ...boundsOf(schema), ...extensionsOf(schema) };
}

function shapeOf(schema: SchemaV3): SchemaV2 {
  const { oneOf, nullable, format, required, additionalProperties } = schema;
  // A value of no type breaks kubectl when it has items or properties, and so does a list of nothing.
  const isOpen = nullable || schema[preserves] === true;
  const { items, properties } = isOpen ? {} : schema;
  const isUntyped = nullable || (schema.type === 'array' && !items) || (schema[preserves] && schema.type === 'object');
  const type = isUntyped ? undefined : (schema.type ?? (oneOf ? 'string' : undefined));
  const needed = required?.filter((name) => !properties?.[name]?.nullable);
  return {
    ...(type ? { type } : {}),
    ...(format ? { format } : {}),
    ...(needed?.length ? { required: needed } : {}),
    ...(properties ? { properties: mapValues(properties, schemaV2) } : {}),
    ...(items ? { items: schemaV2(items) } : {}),
    ...(typeof additionalProperties === 'object' ? { additionalProperties: schemaV2(additionalProperties) } : {}),
  };
}

function boundsOf(schema: SchemaV3): Bounds {
  return Object.fromEntries(bounds.filter((name) => schema[name] !== undefined).map((name) => [name, schema[name]]));
}

export function extensionsOf(value: object): Record<`x-${string}`, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([name]) => name.startsWith('x-')));
}

function mapValues<A, B>(from: Record<string, A>, change: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(from).map(([name, value]) => [name, change(value)]));
}
