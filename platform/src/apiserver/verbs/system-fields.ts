/** The parts of metadata that the server writes and clients do not. */
import type { KubeObject } from '@sampan/api/client.ts';
import { toTime } from '../../base/clock.ts';
import { nameSuffix, newUid } from '../../base/ids.ts';
import { badRequest } from '../meta/failures.ts';
import { isObject, type Stored } from '../meta/object.ts';
import type { Caller, Place } from './context.ts';

/** Room for the suffix within the 63 bytes of a DNS label (apiserver/pkg/storage/names). */
const maxGeneratedBase = 58;

/** Puts the object where the URL says. Throws BadRequest when the object says otherwise. */
export function settlePlace(object: Stored, place: Omit<Place, 'name'>, name: string | undefined): void {
  const { metadata } = object;
  if (place.namespace !== undefined) {
    if (metadata.namespace && metadata.namespace !== place.namespace) {
      throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
    }
    metadata.namespace = place.namespace;
  } else delete metadata.namespace;
  if (name === undefined) return;
  if (metadata.name && metadata.name !== name) {
    throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${name})`);
  }
  metadata.name = name;
}

const ownerFields = ['apiVersion', 'kind', 'name', 'uid', 'controller', 'blockOwnerDeletion'] as const;

/** For writes to what is there already (checkName of apiserver/pkg/endpoints/handlers). Throws BadRequest. */
export function demandName(object: unknown, place: Place): void {
  if (isObject(object) && isObject(object.metadata) && object.metadata.name) return;
  throw badRequest(`the name of the object (${place.name} based on URL) was undeterminable: name must be provided`);
}

/** An owner that is named twice in the same words counts once; the client is told (apiserver/pkg/endpoints/handlers dedupOwnerReferences). */
export function dropDoubledOwners({ metadata }: Stored, caller: Caller): void {
  const owners = metadata.ownerReferences ?? [];
  const byWords = new Map<string, (typeof owners)[number]>();
  const doubled = new Set<string>();
  for (const owner of owners) {
    const words = JSON.stringify(ownerFields.map((field) => owner[field] ?? null));
    if (byWords.has(words)) doubled.add(owner.uid);
    else byWords.set(words, owner);
  }
  if (doubled.size === 0) return;
  metadata.ownerReferences = [...byWords.values()];
  caller.warn(
    `.metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: ${[...doubled].join(', ')}`,
  );
}

export function stampCreate(object: Stored, nowMs: number): void {
  const { metadata } = object;
  if (metadata.resourceVersion) throw badRequest('resourceVersion should not be set on objects to be created');
  if (!metadata.name && metadata.generateName) {
    metadata.name = metadata.generateName.slice(0, maxGeneratedBase) + nameSuffix();
  }
  metadata.uid = newUid();
  metadata.creationTimestamp = toTime(nowMs);
  delete metadata.resourceVersion;
  delete metadata.deletionTimestamp;
  delete metadata.deletionGracePeriodSeconds;
  delete (metadata as { selfLink?: string }).selfLink;
}

/** What an update may not move is taken from what is stored (registry/rest BeforeUpdate). */
export function stampUpdate(object: Stored, old: Stored): void {
  const { metadata } = object;
  const before = old.metadata;
  metadata.uid ||= before.uid;
  metadata.creationTimestamp = before.creationTimestamp;
  if (before.generateName) metadata.generateName ??= before.generateName;
  if (before.generation !== undefined) metadata.generation = before.generation;
  else delete metadata.generation;
  copyOrDrop(metadata, before, 'deletionTimestamp');
  copyOrDrop(metadata, before, 'deletionGracePeriodSeconds');
  delete (metadata as { selfLink?: string }).selfLink;
}

type Metadata = NonNullable<KubeObject['metadata']>;

function copyOrDrop<K extends keyof Metadata>(to: Metadata, from: Metadata, key: K): void {
  if (from[key] === undefined) delete to[key];
  else to[key] = from[key];
}
