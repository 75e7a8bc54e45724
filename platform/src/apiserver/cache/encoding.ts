/** Objects to and from the store's bytes. The resourceVersion is the store's revision and never part of the value. */
import type { KubeObject } from '@sampan/api/client.ts';
import { deepFreeze, isObject, type Stored } from '../meta/object.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });

export function encode(object: KubeObject): Uint8Array {
  const { resourceVersion: _, ...metadata } = object.metadata ?? {};
  return Buffer.from(JSON.stringify({ ...object, metadata }));
}

/** Frozen, with `revision` as its resourceVersion. Throws SyntaxError when the bytes are no object. */
export function decode(value: Uint8Array, revision: number): Stored {
  const object: unknown = JSON.parse(utf8.decode(value));
  if (!isObject(object) || !isObject(object.metadata)) throw new SyntaxError('not a Kubernetes object');
  object.metadata.resourceVersion = String(revision);
  return deepFreeze(object as unknown as Stored);
}
