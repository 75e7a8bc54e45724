/**
 * The members of a schema that are schemas themselves where they may also be something else: `items` (a schema or a list of them) and
 * `additionalProperties` (a schema or a boolean). The generated structures call them `any`; here they are looked into.
 */
import { isJsonObject, type JsonObject } from '../json.ts';
import { checkStructure, type StructureProblems } from '../schema/check-structure.ts';

const typeName = 'apiextensions.k8s.io/v1.JSONSchemaProps';

/** Of a whole definition whose typed parts were checked. */
export function checkSchemaParts(definition: unknown): StructureProblems {
  const found: StructureProblems = { wrongTypes: [], unknownFields: [] };
  const spec = isJsonObject(definition) && isJsonObject(definition.spec) ? definition.spec : {};
  for (const [i, version] of (Array.isArray(spec.versions) ? spec.versions : []).entries()) {
    const schema = version?.schema?.openAPIV3Schema;
    if (isJsonObject(schema)) checkParts(schema, `spec.versions[${i}].schema.openAPIV3Schema`, found);
  }
  return found;
}

function checkParts(schema: JsonObject, path: string, found: StructureProblems): void {
  for (const { name, value } of typedChildren(schema)) checkParts(value, `${path}.${name}`, found);
  for (const [name, value] of looseChildren(schema)) {
    if (name === 'additionalProperties' && typeof value === 'boolean') continue;
    const { wrongTypes, unknownFields } = checkStructure(typeName, value);
    found.wrongTypes.push(...wrongTypes.slice(0, 1 - found.wrongTypes.length));
    found.unknownFields.push(...unknownFields.map((field) => `${path}.${name}.${field}`));
    if (wrongTypes.length === 0 && isJsonObject(value)) checkParts(value, `${path}.${name}`, found);
  }
}

/** Calls `visit` with the schema and every schema in it. */
export function forEachSchema(schema: object, visit: (schema: object) => void): void {
  visit(schema);
  const parts = schema as JsonObject;
  for (const { value } of typedChildren(parts)) forEachSchema(value, visit);
  for (const [, value] of looseChildren(parts)) if (isJsonObject(value)) forEachSchema(value, visit);
}

function looseChildren({ items, additionalProperties }: JsonObject): [string, unknown][] {
  const found: [string, unknown][] = Array.isArray(items)
    ? items.map((item, i) => [`items[${i}]`, item])
    : [['items', items]];
  found.push(['additionalProperties', additionalProperties]);
  return found.filter(([, value]) => value !== undefined && value !== null);
}

function* typedChildren(schema: JsonObject): Generator<{ name: string; value: JsonObject }> {
  for (const name of ['allOf', 'anyOf', 'oneOf']) {
    const list = schema[name];
    if (!Array.isArray(list)) continue;
    for (const [i, value] of list.entries()) if (isJsonObject(value)) yield { name: `${name}[${i}]`, value };
  }
  if (isJsonObject(schema.not)) yield { name: 'not', value: schema.not };
  for (const field of ['properties', 'patternProperties', 'definitions']) {
    const map = schema[field];
    if (!isJsonObject(map)) continue;
    for (const [name, value] of Object.entries(map)) if (isJsonObject(value)) yield { name: `${field}.${name}`, value };
  }
}
