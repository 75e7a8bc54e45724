/**
 * Pruning: what a structural schema does not name is not kept (apiextensions-apiserver pkg/apiserver/schema/pruning). It owns which
 * fields those are; whether the caller is told is the request's fieldValidation.
 */
import { isJsonObject, type JsonObject } from '../json.ts';
import { checkStructure } from '../schema/check-structure.ts';
import { type CustomSchema, itemsOf, memberPath, memberSchema, resourceFields } from './custom-schema.ts';

interface Found {
  path: string;
  drop(): void;
}

/** Paths such as `spec.containers[0].imagee`. The root is a resource: its type and metadata are not looked at. */
export function unknownFields(object: unknown, schema: CustomSchema): string[] {
  return [...walk(object, schema, '', true)].map(({ path }) => path);
}

/** In place. Idempotent. */
export function prune(object: unknown, schema: CustomSchema, isResource = true): void {
  for (const { drop } of [...walk(object, schema, '', isResource)]) drop();
}

function* walk(value: unknown, schema: CustomSchema, path: string, isResource: boolean): Generator<Found> {
  if (Array.isArray(value)) {
    const items = itemsOf(schema);
    if (!items) return;
    for (const [i, item] of value.entries()) yield* walk(item, items, `${path}[${i}]`, isEmbedded(items));
  } else if (isJsonObject(value)) yield* walkMembers(value, schema, path, isResource);
}

function* walkMembers(object: JsonObject, schema: CustomSchema, path: string, isResource: boolean): Generator<Found> {
  for (const [name, member] of Object.entries(object)) {
    if (isResource && resourceFields.includes(name)) {
      if (path && name === 'metadata') yield* unknownMetadata(member, memberPath(path, name));
      continue;
    }
    const found = memberSchema(schema, name);
    const at = memberPath(path, name);
    if (found === 'unknown') yield { path: at, drop: () => void delete object[name] };
    else if (found) yield* walk(member, found, at, isEmbedded(found));
  }
}

/** Of an embedded resource. Only its own members: they hold no structure a client could put unknown fields into but owners. */
function* unknownMetadata(metadata: unknown, path: string): Generator<Found> {
  if (!isJsonObject(metadata)) return;
  for (const name of checkStructure('meta/v1.ObjectMeta', metadata).unknownFields) {
    if (Object.hasOwn(metadata, name)) yield { path: memberPath(path, name), drop: () => void delete metadata[name] };
  }
}

const isEmbedded = (schema: CustomSchema) => schema['x-kubernetes-embedded-resource'] === true;
