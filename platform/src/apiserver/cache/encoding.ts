/**
 * Objects to and from the store's bytes. The resourceVersion is the store's revision and never part of the value; the sets of managedFields are
 * texts there (field-set-pool.ts), or objects in values of older servers.
 */
import type { FieldSet } from '@sampan/api/apply/field-set.ts';
import type { KubeObject } from '@sampan/api/client.ts';
import { SampanError } from '@sampan/api/errors.ts';
import { deepFreeze, isObject, type Stored } from '../meta/object.ts';
import { compact, FieldSetPool } from './field-set-pool.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });
const pool = new FieldSetPool();

/** Change by change an object could outgrow what any request may hold. */
const maxObjectBytes = 3 * 1024 * 1024;

/** Throws RequestEntityTooLarge. */
export function encode(object: KubeObject): Uint8Array {
  const bytes = Buffer.from(JSON.stringify(storable(object)));
  if (bytes.length <= maxObjectBytes) return bytes;
  const { name } = object.metadata ?? {};
  const message = `${object.kind} "${name}" would be ${bytes.length} bytes; the limit is ${maxObjectBytes}`;
  throw new SampanError('RequestEntityTooLarge', message);
}

function storable(object: KubeObject): object {
  const { resourceVersion: _, managedFields, ...metadata } = object.metadata ?? {};
  if (!managedFields) return { ...object, metadata };
  const owners = (managedFields as { fieldsV1: FieldSet }[]).map((entry) => ({
    ...entry,
    fieldsV1: pool.text(entry.fieldsV1),
  }));
  return { ...object, metadata: { ...metadata, managedFields: owners } };
}

/** Frozen, with `revision` as its resourceVersion. Throws SyntaxError when the bytes are no object. */
export function decode(value: Uint8Array, revision: number): Stored {
  const object: unknown = JSON.parse(utf8.decode(value));
  if (!isObject(object) || !isObject(object.metadata)) throw new SyntaxError('not a Kubernetes object');
  object.metadata.resourceVersion = String(revision);
  const { managedFields } = object.metadata;
  if (Array.isArray(managedFields)) for (const entry of managedFields) decodeEntry(entry);
  return deepFreeze(object as unknown as Stored);
}

/** The object of a JSON text that was made of a decoded one, frozen; its sets are the pool's again. */
export function parseShown(json: Uint8Array): Stored {
  const object = JSON.parse(utf8.decode(json)) as Stored;
  const entries = object.metadata.managedFields as { fieldsV1?: FieldSet }[] | undefined;
  for (const entry of entries ?? []) if (entry.fieldsV1) entry.fieldsV1 = pool.set(JSON.stringify(entry.fieldsV1));
  return deepFreeze(object);
}

function decodeEntry(entry: { fieldsV1?: unknown }): void {
  if (typeof entry.fieldsV1 === 'string') entry.fieldsV1 = pool.set(entry.fieldsV1);
  else if (isObject(entry.fieldsV1)) entry.fieldsV1 = compact(entry.fieldsV1 as Record<string, FieldSet>);
}
