/** An applied configuration in the spelling in which objects are stored, so that `1000m` is not taken for another value than `1`. */
import { cloneJson, isJsonObject, type JsonObject } from '../json.ts';
import type { Kind } from '../kind.ts';
import { normalize } from '../schema/normalize.ts';
import { hasStructType, typeNameOf } from '../schema/schema.ts';

/** A copy with the same members: nothing is added and nothing dropped. Custom kinds have no spellings. The structure has been checked. */
export function canonicalConfiguration<T extends object>(
  kind: Pick<Kind, 'ref' | 'kind' | 'openApiSchema'>,
  given: T,
): T {
  const name = typeNameOf(kind.ref.group, kind.ref.version, kind.kind);
  if (kind.openApiSchema || !hasStructType(name)) return given;
  const normal = cloneJson(given);
  normalize(name, normal);
  return spelled(given, normal) as T;
}

/** `given`, with plain values as `normal` has them. */
function spelled(given: unknown, normal: unknown): unknown {
  if (Array.isArray(given)) {
    return Array.isArray(normal) ? given.map((item, index) => spelled(item, normal[index])) : given;
  }
  if (!isJsonObject(given))
    return given === null || normal === undefined || typeof normal === 'object' ? given : normal;
  if (!isJsonObject(normal)) return given;
  const members = Object.entries(given).map(([name, value]): [string, unknown] => [
    name,
    Object.hasOwn(normal, name) ? spelled(value, normal[name]) : value,
  ]);
  return Object.fromEntries(members) as JsonObject;
}
