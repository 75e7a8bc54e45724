/**
 * The one way a stored object becomes another: read, change, admit, validate, and commit only if nobody was faster.
 * Update, patch, binding and graceful deletion are all callers of it.
 */
import { type ManagedEntry, sameOwners } from '@sampan/api/apply/managers.ts';
import { equalJson } from '@sampan/api/json.ts';
import type { Target } from '@sampan/api/kind.ts';
import type { Commitment } from '../admission/admission.ts';
import { conflict, invalid } from '../meta/failures.ts';
import type { Stored } from '../meta/object.ts';
import { admissionRequest, type Caller, type Place, type VerbContext } from './context.ts';
import { ownersAfter, setOwners, takeOwners } from './managed-fields.ts';
import { put, remove, withCurrent } from './races.ts';
import { dropDoubledOwners, stampUpdate } from './system-fields.ts';

export interface Rewrite {
  place: Place;
  target: Target;
  caller: Caller;
  /** A private next version made from the frozen current one; called again when another writer was faster. */
  change(current: Stored): Stored | Promise<Stored>;
  /** `change` returns in managedFields who owns what: it is an apply. */
  tracked?: boolean;
}

/** Returns the object as stored. Throws NotFound, Conflict (a stale resourceVersion in the change), Invalid, Forbidden. */
export function rewrite(context: VerbContext, options: Rewrite): Promise<Stored> {
  return withCurrent(context, options.place, async (current) => {
    const commitment: Commitment = { alongside: [], onEnd: [] };
    try {
      return await attemptRewrite(context, { ...options, commitment }, current);
    } finally {
      for (const end of commitment.onEnd) end();
    }
  });
}

type Attempt = Rewrite & { commitment: Commitment };

async function attemptRewrite(context: VerbContext, options: Attempt, current: Stored): Promise<Stored> {
  const { place, target, caller, commitment } = options;
  const { kind, name } = place;
  const object = await options.change(current);
  checkPreconditions(place, object, current);
  stampUpdate(object, current);
  dropDoubledOwners(object, caller);
  const given = takeOwners(object);
  kind.applyDefaults(object);
  // As it was asked for: what admission and the kind do to it, no manager owns.
  const write = { kind, object, given, old: current, caller, target, nowMs: context.clock.now() };
  const owners = options.tracked ? (given as ManagedEntry[]) : ownersAfter(write);
  const subresource = target === 'object' ? '' : target;
  const asked = { operation: 'UPDATE', subresource, object, old: current } as const;
  const admission = { ...admissionRequest(context, place, caller, asked), commitment };
  await context.admission.mutate(admission);
  kind.applyDefaults(object);
  kind.prepareUpdate(object, current, target);
  setOwners(object, owners);
  const causes = kind.validateUpdate(object, current, target);
  if (causes.length > 0) throw invalid({ group: kind.ref.group, kind: kind.kind }, name, causes);
  await context.admission.validate(admission);
  if (isSame(object, current)) return current;
  if (caller.dryRun) return object;
  const step = { from: current, to: object, alongside: commitment.alongside };
  return isFinished(place, object) ? remove(context, place, step) : put(context, place, step);
}

function checkPreconditions({ kind, name }: Place, object: Stored, current: Stored): void {
  const { uid, resourceVersion } = object.metadata;
  const before = current.metadata;
  if (uid && uid !== before.uid) {
    const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${before.uid}`;
    throw conflict(kind.ref, name, why);
  }
  if (resourceVersion && resourceVersion !== before.resourceVersion) throw conflict(kind.ref, name);
}

/** A write that changes nothing, or only when somebody wrote, is no write: it would only wake every watcher. */
function isSame(object: Stored, current: Stored): boolean {
  return (
    equalJson(comparable(object), comparable(current)) &&
    sameOwners(object.metadata.managedFields, current.metadata.managedFields)
  );
}

function comparable(object: Stored) {
  const { managedFields: _fields, resourceVersion: _version, ...metadata } = object.metadata;
  return { ...object, metadata };
}

/** Deletion was asked for and nothing holds the object any more. */
export function isFinished({ kind }: Place, object: Stored): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds, finalizers } = object.metadata;
  if (!deletionTimestamp || (deletionGracePeriodSeconds ?? 0) > 0) return false;
  return (finalizers ?? []).length === 0 && (kind.extraFinalizers?.(object) ?? []).length === 0;
}
