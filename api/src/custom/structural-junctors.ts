/**
 * The rules for what stands within allOf, anyOf, oneOf and not: they may only narrow what the schema around them already names, so that
 * structure can be read off without them.
 */
import type { Cause } from '../errors.ts';
import { forbidden, required } from '../field-errors.ts';
import { type CustomSchema, itemsOf } from './custom-schema.ts';
import { patternProblems } from './pattern-problems.ts';

/** What belongs to structure and must stand outside. */
const structural = [
  'type',
  'description',
  'title',
  'default',
  'nullable',
  'additionalProperties',
  'x-kubernetes-preserve-unknown-fields',
  'x-kubernetes-int-or-string',
  'x-kubernetes-embedded-resource',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-map-type',
  'x-kubernetes-validations',
] as const;

export function checkJunctors(schema: CustomSchema, field: string): Cause[] {
  const typeMayStand = schema['x-kubernetes-int-or-string'] === true;
  return [...junctors(schema, field)].flatMap(([inner, at]) => within(inner, schema, { at, typeMayStand }));
}

function* junctors(schema: CustomSchema, field: string): Generator<[CustomSchema, string]> {
  for (const name of ['allOf', 'anyOf', 'oneOf'] as const) {
    for (const [i, inner] of (schema[name] ?? []).entries()) yield [inner, `${field}.${name}[${i}]`];
  }
  if (schema.not) yield [schema.not, `${field}.not`];
}

interface Where {
  at: string;
  /** `anyOf: [{type: integer}, {type: string}]` is how int-or-string is written out. */
  typeMayStand: boolean;
}

function within(inner: CustomSchema, outer: CustomSchema | undefined, { at, typeMayStand }: Where): Cause[] {
  const causes: Cause[] = structural
    .filter((name) => inner[name] !== undefined && !(name === 'type' && typeMayStand))
    .map((name) => forbidden(`${at}.${name}`, 'must be empty to be structural'));
  causes.push(...patternProblems(inner, at));
  for (const [name, property] of Object.entries(inner.properties ?? {})) {
    const named = outer?.properties && Object.hasOwn(outer.properties, name) ? outer.properties[name] : undefined;
    const more = outer?.additionalProperties;
    const place = `${at}.properties[${name}]`;
    if (!named && typeof more !== 'object') {
      causes.push(
        required(place.replace(/\.(?:allOf|anyOf|oneOf)\[\d+\]|\.not/g, ''), `because it is defined in ${place}`),
      );
    }
    causes.push(...within(property, named ?? (typeof more === 'object' ? more : undefined), inside(place, named)));
  }
  const items = itemsOf(inner);
  const outerItems = outer && itemsOf(outer);
  if (items) {
    if (!outerItems) causes.push(required(`${at}.items`, 'must be specified outside of the junctor too'));
    causes.push(...within(items, outerItems, inside(`${at}.items`, outerItems)));
  }
  for (const [deeper, place] of junctors(inner, at)) causes.push(...within(deeper, outer, { at: place, typeMayStand }));
  return causes;
}

function inside(at: string, outer: CustomSchema | undefined): Where {
  return { at, typeMayStand: outer?.['x-kubernetes-int-or-string'] === true };
}
