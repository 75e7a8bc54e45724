/** The schema language of CustomResourceDefinitions (apiextensions.k8s.io/v1 JSONSchemaProps), and the fields every resource has. */

export interface CustomSchema {
  type?: string;
  format?: string;
  title?: string;
  description?: string;
  default?: unknown;
  nullable?: boolean;
  enum?: unknown[];
  pattern?: string;
  maxLength?: number;
  minLength?: number;
  maximum?: number;
  exclusiveMaximum?: boolean;
  minimum?: number;
  exclusiveMinimum?: boolean;
  multipleOf?: number;
  maxItems?: number;
  minItems?: number;
  uniqueItems?: boolean;
  maxProperties?: number;
  minProperties?: number;
  required?: string[];
  properties?: Record<string, CustomSchema>;
  additionalProperties?: boolean | CustomSchema;
  items?: CustomSchema | CustomSchema[];
  allOf?: CustomSchema[];
  anyOf?: CustomSchema[];
  oneOf?: CustomSchema[];
  not?: CustomSchema;
  'x-kubernetes-preserve-unknown-fields'?: boolean;
  'x-kubernetes-int-or-string'?: boolean;
  'x-kubernetes-embedded-resource'?: boolean;
  'x-kubernetes-list-type'?: 'atomic' | 'set' | 'map';
  'x-kubernetes-list-map-keys'?: string[];
  'x-kubernetes-map-type'?: 'granular' | 'atomic';
  'x-kubernetes-validations'?: unknown[];
}

/** What a resource has whatever its schema says: they are the server's and neither pruned nor defaulted. */
export const resourceFields: readonly string[] = ['apiVersion', 'kind', 'metadata'];

/** The schema of a list's elements; undefined where elements may be anything. */
export function itemsOf(schema: CustomSchema): CustomSchema | undefined {
  return Array.isArray(schema.items) ? undefined : schema.items;
}

/** The schema of an object's member: undefined where any value will do, 'unknown' where the schema has no such member. */
export function memberSchema(schema: CustomSchema, name: string): CustomSchema | undefined | 'unknown' {
  const { properties, additionalProperties: more } = schema;
  if (properties && Object.hasOwn(properties, name)) return properties[name];
  if (typeof more === 'object') return more;
  return more === true || schema['x-kubernetes-preserve-unknown-fields'] ? undefined : 'unknown';
}

/** `spec.name`, or `name` at the root. */
export function memberPath(path: string, name: string): string {
  return path ? `${path}.${name}` : name;
}
