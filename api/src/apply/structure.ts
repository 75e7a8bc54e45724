/**
 * What server-side apply has to know of a kind's structure: where values are shared by several owners, and by what their parts are told apart.
 *
 *   whole   one owner: a plain value, or an object or list that is taken as one (x-kubernetes-*-type: atomic)
 *   fields  an object with declared members            entries  a map: names are data
 *   keyed   a list whose elements have keys (map)      values   a list that is a set of plain values
 *   free    no schema: objects are maps of such, everything else is whole
 *
 * It comes from the generated schemas and their merge keys, or from the OpenAPI v3 schema that a kind brings along; parts are made when they are
 * first asked for.
 */
import { isJsonObject, type JsonObject } from '../json.ts';
import type { Kind } from '../kind.ts';
import { isAtomicType, mergeKeys } from '../patch/merge-keys.ts';
import { type FieldType, hasStructType, structType, typeNameOf } from '../schema/schema.ts';

export type Structure =
  | { readonly form: 'whole' }
  | { readonly form: 'free' }
  | { readonly form: 'fields'; field(name: string): Structure | undefined }
  | { readonly form: 'entries'; readonly of: Structure }
  | { readonly form: 'values' }
  | { readonly form: 'keyed'; readonly keys: readonly string[]; readonly defaults: JsonObject; readonly of: Structure };

const whole: Structure = { form: 'whole' };
const free: Structure = { form: 'free' };
const values: Structure = { form: 'values' };

const ofTypes = new Map<string, Structure>();
const ofSchemas = new WeakMap<object, Structure>();

export function structureOf(kind: Pick<Kind, 'ref' | 'kind' | 'openApiSchema'>): Structure {
  if (kind.openApiSchema) return rootOf(kind.openApiSchema);
  const name = typeNameOf(kind.ref.group, kind.ref.version, kind.kind);
  return hasStructType(name) ? structureOfType(name) : free;
}

/** Of a type of generated/schemas.json, such as `core/v1.PodSpec`. */
export function structureOfType(name: string): Structure {
  let known = ofTypes.get(name);
  if (!known) {
    known = isAtomicType(name) ? whole : fields((field) => structureOfField(name, field));
    ofTypes.set(name, known);
  }
  return known;
}

function structureOfField(typeName: string, field: string): Structure | undefined {
  const type = structType(typeName).fields.get(field);
  if (!type) return undefined;
  const { apply, defaults = {} } = mergeKeys(typeName, field) ?? {};
  if (apply === 'atomic') return whole;
  if (type.form !== 'array') return structureOfValue(type);
  if (apply === 'set') return values;
  return apply ? { form: 'keyed', keys: apply, defaults, of: structureOfValue(type.of) } : whole;
}

function structureOfValue(type: FieldType): Structure {
  if (type.form === 'struct') return structureOfType(type.name);
  return type.form === 'map' ? { form: 'entries', of: structureOfValue(type.of) } : whole;
}

/** Members are looked up once and remembered. */
function fields(find: (name: string) => Structure | undefined): Structure {
  const known = new Map<string, Structure | undefined>();
  return {
    form: 'fields',
    field(name) {
      if (known.has(name)) return known.get(name);
      const found = find(name);
      // Names that are not there come from clients: remembering them would let them fill the memory.
      if (found) known.set(name, found);
      return found;
    },
  };
}

/** Of a whole object whose schema is this one: apiVersion, kind and metadata are the same for all. */
function rootOf(schema: object): Structure {
  let known = ofSchemas.get(schema);
  if (!known) {
    const own = structureOfSchema(schema);
    known = fields((name) => {
      if (name === 'metadata') return structureOfType('meta/v1.ObjectMeta');
      if (name === 'apiVersion' || name === 'kind') return whole;
      return own.form === 'fields' ? own.field(name) : free;
    });
    ofSchemas.set(schema, known);
  }
  return known;
}

/**
 * Of an OpenAPI v3 schema with the x-kubernetes-* extensions of CustomResourceDefinitions. Without them lists are whole and objects are shared,
 * and so is what the schema leaves open.
 */
export function structureOfSchema(schema: unknown): Structure {
  if (!isJsonObject(schema)) return free;
  if (schema['x-kubernetes-map-type'] === 'atomic') return whole;
  if (schema.type === 'array') return structureOfList(schema);
  const { properties, additionalProperties } = schema;
  const open = schema['x-kubernetes-preserve-unknown-fields'] === true ? free : undefined;
  if (isJsonObject(properties)) {
    return fields((name) => (Object.hasOwn(properties, name) ? structureOfSchema(properties[name]) : open));
  }
  if (additionalProperties !== undefined) return { form: 'entries', of: structureOfSchema(additionalProperties) };
  return open || schema.type === 'object' || schema.type === undefined ? free : whole;
}

function structureOfList(schema: JsonObject): Structure {
  const { items } = schema;
  const type = schema['x-kubernetes-list-type'];
  if (type === 'set') return values;
  const keys = schema['x-kubernetes-list-map-keys'];
  if (type !== 'map' || !Array.isArray(keys)) return whole;
  const properties = isJsonObject(items) && isJsonObject(items.properties) ? items.properties : {};
  const defaults = keys.flatMap((key: string) => {
    const property = properties[key];
    return isJsonObject(property) && property.default !== undefined ? [[key, property.default]] : [];
  });
  return { form: 'keyed', keys, defaults: Object.fromEntries(defaults), of: structureOfSchema(items) };
}
