/**
 * Holds a value against a structural schema; findings are worded as kube-apiserver words them (kube-openapi pkg/validation). It owns the
 * walk and its bound; the rules of single values stand in check-scalars.ts, those of lists in check-lists.ts.
 */
import type { Cause } from '../errors.ts';
import { invalid, notSupported, required } from '../field-errors.ts';
import { equalJson, getMember, isJsonObject, type JsonObject } from '../json.ts';
import { checkItems } from './check-lists.ts';
import { checkNumber, checkString } from './check-scalars.ts';
import { type CustomSchema, itemsOf, memberPath, memberSchema } from './custom-schema.ts';
import { Comparison, type Earlier, earlierItems, earlierMember } from './earlier.ts';

/** More than this is not told: one broken object must not fill the log. */
const maxCauses = 50;
/** Schema nodes that one validation may visit: junctors in lists in junctors must not hold the server. */
const maxSteps = 2_000_000;

export interface Validation {
  causes: Cause[];
  /** Shared by a validation and those of its junctors. */
  steps: { left: number };
  comparison: Comparison;
}

/** Empty when `value` fits. `field` is where it stands, '' for a whole object. What has not changed since `earlier` always fits. */
export function validateValue(value: unknown, schema: CustomSchema, field = '', earlier?: Earlier): Cause[] {
  const validation: Validation = { causes: [], steps: { left: maxSteps }, comparison: new Comparison() };
  visit(value, schema, { field, earlier }, validation);
  if (validation.steps.left < 0) {
    return [invalid(field, typeNameOf(value), 'the object is too large for the schema of its kind to be checked')];
  }
  return validation.causes.slice(0, maxCauses);
}

interface Spot {
  field: string;
  earlier: Earlier;
}

function visit(value: unknown, schema: CustomSchema, spot: Spot, to: Validation): void {
  const { field, earlier } = spot;
  to.steps.left -= 1;
  if (to.steps.left < 0 || to.causes.length >= maxCauses || to.comparison.isUnchanged(value, earlier)) return;
  const wanted = misfit(value, schema);
  if (wanted !== undefined) {
    const found = typeNameOf(value);
    const message = `Invalid value: "${found}": ${field} in body must be of type ${wanted}: "${found}"`;
    to.causes.push({ reason: 'FieldValueTypeInvalid', field, message });
    return;
  }
  if (value === null) return;
  if (schema.enum && !schema.enum.some((one) => equalJson(one, value))) {
    to.causes.push(notSupported(field, shown(value), schema.enum.map(String)));
  }
  if (typeof value === 'string') to.causes.push(...checkString(value, schema, field));
  else if (typeof value === 'number') to.causes.push(...checkNumber(value, schema, field));
  else if (Array.isArray(value)) visitItems(value, schema, spot, to);
  else if (isJsonObject(value)) visitMembers(value, schema, spot, to);
  visitJunctors(value, schema, field, to);
}

function visitItems(list: unknown[], schema: CustomSchema, { field, earlier }: Spot, to: Validation): void {
  to.causes.push(...checkItems(list, schema, field));
  const items = itemsOf(schema);
  if (!items) return;
  const before = earlierItems(earlier, schema);
  for (const [i, item] of list.entries()) {
    visit(item, items, { field: `${field}[${i}]`, earlier: before(item) }, to);
  }
}

function visitMembers(object: JsonObject, schema: CustomSchema, { field, earlier }: Spot, to: Validation): void {
  const count = Object.keys(object).length;
  const { minProperties, maxProperties } = schema;
  if (minProperties !== undefined && count < minProperties) {
    to.causes.push(invalid(field, 'object', `${field} in body should have at least ${minProperties} properties`));
  }
  if (maxProperties !== undefined && count > maxProperties) {
    const message = `Too many: ${count}: must have at most ${maxProperties} items`;
    to.causes.push({ reason: 'FieldValueTooMany', field, message });
  }
  for (const name of schema.required ?? []) {
    if (getMember(object, name) === undefined) to.causes.push(required(memberPath(field, name)));
  }
  if (schema['x-kubernetes-embedded-resource']) to.causes.push(...checkEmbedded(object, field));
  for (const [name, member] of Object.entries(object)) {
    const of = memberSchema(schema, name);
    if (!of || of === 'unknown') continue;
    visit(member, of, { field: memberPath(field, name), earlier: earlierMember(earlier, name) }, to);
  }
}

function checkEmbedded(object: JsonObject, field: string): Cause[] {
  const missing = ['apiVersion', 'kind'].filter((name) => !object[name]);
  return missing.map((name) => required(`${field}.${name}`, 'must not be empty'));
}

function visitJunctors(value: unknown, schema: CustomSchema, field: string, to: Validation): void {
  const failuresOf = (of: CustomSchema): Cause[] => {
    const inner: Validation = { causes: [], steps: to.steps, comparison: to.comparison };
    // Of a part of one alone it cannot be said that it was valid before.
    visit(value, of, { field, earlier: undefined }, inner);
    return inner.causes;
  };
  const refuse = (words: string) => to.causes.push(invalid(field, shown(value), `"${field}" ${words}`));
  const { allOf, anyOf, oneOf, not } = schema;
  const broken = (allOf ?? []).flatMap(failuresOf);
  if (broken.length > 0) {
    to.causes.push(...broken);
    refuse('must validate all the schemas (allOf)');
  }
  if (anyOf?.length && !anyOf.some((one) => failuresOf(one).length === 0)) {
    refuse('must validate at least one schema (anyOf)');
    to.causes.push(...failuresOf(anyOf[0]!));
  }
  if (oneOf?.length) {
    const valid = oneOf.filter((one) => failuresOf(one).length === 0).length;
    const found = valid === 0 ? 'Found none valid' : `Found ${valid} valid alternatives`;
    if (valid !== 1) refuse(`must validate one and only one schema (oneOf). ${found}`);
  }
  if (not && failuresOf(not).length === 0) refuse('must not validate the schema (not)');
}

/** The type that was wanted, undefined when the value is of it. */
function misfit(value: unknown, schema: CustomSchema): string | undefined {
  const { type, nullable } = schema;
  if (value === null)
    return nullable || (!type && !schema['x-kubernetes-int-or-string']) ? undefined : (type ?? 'integer');
  if (schema['x-kubernetes-int-or-string']) {
    return typeof value === 'string' || Number.isInteger(value) ? undefined : 'integer,string';
  }
  if (!type) return undefined;
  const found = typeNameOf(value);
  return found === type || (type === 'number' && found === 'integer') ? undefined : type;
}

function typeNameOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value === 'number' && Number.isInteger(value) ? 'integer' : typeof value;
}

/** Lists and objects by their type alone: they may be huge. */
function shown(value: unknown): unknown {
  return typeof value === 'object' ? typeNameOf(value) : value;
}
