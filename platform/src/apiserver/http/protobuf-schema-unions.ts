/**
 * Fields of a CustomResourceDefinition's schemas that are one thing or another in JSON, and a message of both in protobuf
 * (apiextensions/v1 JSONSchemaPropsOrArray, OrBool, OrStringArray).
 */
import { WireReader } from './wire-reader.ts';

/** Decodes one JSONSchemaProps. */
type DecodeSchema = (bytes: Uint8Array) => unknown;

const schema = 'apiextensions.k8s.io/v1.JSONSchemaProps';

/** By type and field. */
const unions: Record<string, (bytes: Uint8Array, decode: DecodeSchema) => unknown> = {
  [`${schema}.items`]: schemaOrArray,
  [`${schema}.additionalItems`]: schemaOrBool,
  [`${schema}.additionalProperties`]: schemaOrBool,
  [`${schema}.dependencies`]: schemaOrNames,
  // An empty struct: that it is there is all it says.
  'apiextensions.k8s.io/v1.CustomResourceSubresources.status': () => ({}),
};

export function schemaUnion(typeName: string, field: string) {
  const decode = unions[`${typeName}.${field}`];
  return decode && { decode, of: schema };
}

/** schema (1) or JSONSchemas (2). */
function schemaOrArray(bytes: Uint8Array, decode: DecodeSchema): unknown {
  let one: unknown;
  const many: unknown[] = [];
  const reader = new WireReader(bytes);
  for (let field = reader.next(); field; field = reader.next()) {
    if (field.number === 1) one = decode(field.bytes());
    if (field.number === 2) many.push(decode(field.bytes()));
  }
  return many.length > 0 ? many : one;
}

/** allows (1) or schema (2). */
function schemaOrBool(bytes: Uint8Array, decode: DecodeSchema): unknown {
  let allows = false;
  let one: unknown;
  const reader = new WireReader(bytes);
  for (let field = reader.next(); field; field = reader.next()) {
    if (field.number === 1) allows = field.integer() !== 0;
    if (field.number === 2) one = decode(field.bytes());
  }
  return one ?? allows;
}

/** schema (1) or property (2). */
function schemaOrNames(bytes: Uint8Array, decode: DecodeSchema): unknown {
  let one: unknown;
  const names: string[] = [];
  const reader = new WireReader(bytes);
  for (let field = reader.next(); field; field = reader.next()) {
    if (field.number === 1) one = decode(field.bytes());
    if (field.number === 2) names.push(field.text());
  }
  return one ?? names;
}
