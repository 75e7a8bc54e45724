/**
 * Defaulting by a structural schema (apiextensions-apiserver pkg/apiserver/schema/defaulting): an absent field with a default gets it, and a
 * null where none may be counts as absent.
 */
import { SampanError } from '../errors.ts';
import { cloneJson, getMember, isJsonObject, type JsonObject, setMember } from '../json.ts';
import { type CustomSchema, itemsOf, memberSchema, resourceFields } from './custom-schema.ts';

/** Characters of JSON that defaults may add to one object: a small object must not become a huge one. */
const maxAdded = 3 * 1024 * 1024;

/** In place. Idempotent. Throws RequestEntityTooLarge. */
export function fillDefaults(object: unknown, schema: CustomSchema, isResource = true): void {
  fill(object, schema, { isResource, budget: { left: maxAdded } });
}

/** Whether anything in the schema has a default: spares those that have none the walk. */
export function hasDefaults(schema: CustomSchema): boolean {
  if (schema.default !== undefined) return true;
  const more = schema.additionalProperties;
  const items = itemsOf(schema);
  return (
    Object.values(schema.properties ?? {}).some(hasDefaults) ||
    (typeof more === 'object' && hasDefaults(more)) ||
    (items !== undefined && hasDefaults(items))
  );
}

interface Filling {
  isResource: boolean;
  budget: { left: number };
}

function fill(value: unknown, schema: CustomSchema, { isResource, budget }: Filling): void {
  const inner = { isResource: false, budget };
  if (Array.isArray(value)) {
    const items = itemsOf(schema);
    if (items) for (const item of value) fill(item, items, inner);
  } else if (isJsonObject(value)) {
    const skipped = (name: string) => isResource && resourceFields.includes(name);
    for (const [name, of] of Object.entries(schema.properties ?? {}))
      if (!skipped(name)) fillOne(value, name, of, budget);
    for (const [name, member] of Object.entries(value)) {
      const of = memberSchema(schema, name);
      if (of && of !== 'unknown' && !skipped(name)) fill(member, of, inner);
    }
  }
}

function fillOne(object: JsonObject, name: string, schema: CustomSchema, budget: Filling['budget']): void {
  const value = getMember(object, name);
  const absent = value === undefined || (value === null && !schema.nullable);
  if (!absent) return;
  if (schema.default === undefined) {
    if (value === null && schema.type) delete object[name];
    return;
  }
  budget.left -= JSON.stringify(schema.default).length;
  if (budget.left < 0) {
    throw new SampanError('RequestEntityTooLarge', `the defaults of this object are more than ${maxAdded} bytes`);
  }
  setMember(object, name, cloneJson(schema.default));
}
