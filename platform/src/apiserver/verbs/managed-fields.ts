/** metadata.managedFields at the hands of the verbs: what a request is in the terms of api/src/apply, and its answer in the object. */
import { type Identity, isReset, type ManagedEntry, ownersIn, parseOwners } from '@sampan/api/apply/managers.ts';
import { ownersAfterUpdate, type Write } from '@sampan/api/apply/ownership.ts';
import { structureOf } from '@sampan/api/apply/structure.ts';
import { equalJson } from '@sampan/api/json.ts';
import type { Kind, Target } from '@sampan/api/kind.ts';
import { toTime } from '../../base/clock.ts';
import { apiVersionOf } from '../meta/kinds.ts';
import type { Stored } from '../meta/object.ts';
import type { Caller } from './context.ts';

export interface TrackedWrite {
  kind: Kind;
  /** The object as it stands, managedFields and all. */
  old: Stored | undefined;
  caller: Caller;
  target: Target;
  nowMs: number;
}

/** Takes managedFields out of an object while it is defaulted, admitted and compared: they are none of its fields. */
export function takeOwners(object: Stored): unknown {
  const { managedFields } = object.metadata;
  delete object.metadata.managedFields;
  return managedFields;
}

/** Who owns what, once `caller` has made `object` of the old one; `given` is what the request has for managedFields. */
export function ownersAfter({ object, given, ...write }: TrackedWrite & { object: Stored; given: unknown }) {
  const { old, target } = write;
  const owners = ownersBefore(given, old, target);
  // Where nobody was ever recorded, or all were forgotten, tracking begins with the first apply.
  if (old !== undefined && owners.length === 0) return [];
  return ownersAfterUpdate(writeOf(write, 'Update', owners), object);
}

/** `owners` absent: those of the object as it stands. */
export function writeOf(write: TrackedWrite, operation: Identity['operation'], owners?: ManagedEntry[]): Write {
  const { kind, old, caller, target, nowMs } = write;
  const subresource = target === 'object' ? undefined : target;
  return {
    structure: structureOf(kind),
    before: old && withoutOwners(old),
    owners: owners ?? ownersIn(old?.metadata.managedFields),
    by: { manager: caller.fieldManager, operation, apiVersion: apiVersionOf(kind.ref), subresource },
    time: toTime(nowMs),
    reaches: reachOf(kind, target),
  };
}

export function setOwners(object: Stored, owners: ManagedEntry[]): void {
  if (owners.length > 0) object.metadata.managedFields = owners;
  else delete object.metadata.managedFields;
}

/** A client that says nothing, or nothing that can be read, leaves the owners as they are; a subresource cannot change them. */
function ownersBefore(given: unknown, old: Stored | undefined, target: Target): ManagedEntry[] {
  const stored = old?.metadata.managedFields;
  if (given === undefined || target !== 'object' || equalJson(given, stored)) return ownersIn(stored);
  if (isReset(given)) return [];
  const owners = parseOwners(given);
  return owners && owners.length > 0 ? owners : ownersIn(stored);
}

export function withoutOwners(object: Stored): Stored {
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

/** status belongs to its subresource, and everything beside metadata and status to the object (the strategies' GetResetFields). */
function reachOf(kind: Kind, target: Target): (name: string) => boolean {
  if (target === 'status') return (name) => name === 'metadata' || name === 'status';
  if (target === 'object' && kind.subresources.includes('status')) return (name) => name !== 'status';
  return () => true;
}
