/** Objects as the API server holds them: JSON values, shared ones frozen all the way down. */
import type { KubeObject } from '@sampan/api/client.ts';

/** An object that has metadata, which is every one that passed decoding. */
export type Stored = KubeObject & { metadata: NonNullable<KubeObject['metadata']> };

/** A private copy. Undefined members vanish, as they do on the wire. */
export function copyOf<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
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
