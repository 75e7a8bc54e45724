/** Objects as the API server holds them: JSON values, shared ones frozen all the way down. */
import type { KubeObject } from '@sampan/api/client.ts';
import { type JsonObject, setMember } from '@sampan/api/json.ts';

/** An object that has metadata, which is every one that passed decoding. */
export type Stored = KubeObject & { metadata: NonNullable<KubeObject['metadata']> };

/** A private copy, as a trip over the wire would make it: undefined members vanish, and what has a toJSON becomes what it says. */
export function copyOf<T>(value: T): T {
  return copyValue(value) as T;
}

/** By hand, because every write copies several times and writing JSON to read it again costs thrice as much. */
function copyValue(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return copyScalar(value);
  if (Array.isArray(value)) return value.map((item) => copyValue(item) ?? null);
  const { toJSON } = value as { toJSON?: unknown };
  if (typeof toJSON === 'function') return copyValue(toJSON.call(value));
  const copy: JsonObject = {};
  for (const name of Object.keys(value)) {
    const member = copyValue((value as JsonObject)[name]);
    if (member !== undefined) setMember(copy, name, member);
  }
  return copy;
}

function copyScalar(value: unknown): unknown {
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  return typeof value === 'function' || typeof value === 'symbol' ? undefined : value;
}

/** A private copy but for managedFields: they are large and nobody's to change, so they are shared, frozen. */
export function copyForClient<T extends KubeObject>(object: T): T {
  if (!object.metadata?.managedFields) return copyOf(object);
  const { managedFields, ...metadata } = object.metadata;
  const copy = copyOf({ ...object, metadata });
  return { ...copy, metadata: { ...copy.metadata, managedFields: deepFreeze(managedFields) } };
}

/** Freezes what many readers share, so that a write into it throws instead of corrupting everybody's view. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const member of Object.values(value)) deepFreeze(member);
  return value;
}

/** The same object under another resourceVersion; everything else is shared. */
export function withVersion<T extends KubeObject>(object: T, revision: number): T {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } };
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
