/**
 * DELETE. An object goes at once unless something holds it: a grace period of its kind, or finalizers.
 *
 *   live ──delete, nothing holds──────────────────────────────▶ gone
 *   live ──delete, grace or finalizers──▶ deletionTimestamp ──▶ gone when grace is 0 and finalizers are empty
 *   deletionTimestamp ──delete, shorter grace──▶ nearer deletionTimestamp
 *
 * Owns the state machine; how long a kind's grace is, the kind says. Garbage collection of dependents is a controller's.
 */
import type { DeleteOptions } from '@sampan/api/client.ts';
import type { Kind } from '@sampan/api/kind.ts';
import { toTime } from '../../base/clock.ts';
import { conflict, invalid } from '../meta/failures.ts';
import { copyOf, type Stored } from '../meta/object.ts';
import { admissionRequest, type Caller, type Place, type VerbContext } from './context.ts';
import { put, remove, withCurrent } from './races.ts';
import { isFinished } from './rewrite.ts';

export interface DeleteRequest {
  place: Place;
  options: DeleteOptions;
  caller: Caller;
}

export interface DeleteResult {
  object: Stored;
  /** False while a grace period or finalizers hold the object. */
  gone: boolean;
}

/** Throws NotFound; Conflict when a precondition does not hold. Idempotent while the object winds down. */
export function deleteObject(context: VerbContext, request: DeleteRequest): Promise<DeleteResult> {
  const { place, caller, options } = request;
  checkOptions(options);
  warnOfOrphans(place.kind, options, caller);
  return withCurrent(context, place, async (current) => {
    checkPreconditions(place, options, current);
    const asked = { operation: 'DELETE', subresource: '', object: undefined, old: current } as const;
    await context.admission.validate(admissionRequest(context, place, caller, asked));
    return attemptDelete(context, request, current);
  });
}

async function attemptDelete(context: VerbContext, request: DeleteRequest, current: Stored): Promise<DeleteResult> {
  const { place, options, caller } = request;
  const next = markDeleted(place, current, options, context.clock.now());
  const gone = isFinished(place, next ?? current);
  if (!next && !gone) return { object: current, gone: false };
  if (caller.dryRun) return { object: next ?? current, gone };
  if (gone) return { object: await remove(context, place, { from: current, to: next ?? current }), gone: true };
  return { object: await put(context, place, { from: current, to: next ?? current }), gone: false };
}

/** A century: beyond it times could no longer be written. */
const maxGraceSeconds = 3_155_760_000;

/** The object with deletion begun or brought nearer; undefined when there is nothing to change. */
function markDeleted(place: Place, current: Stored, options: DeleteOptions, nowMs: number): Stored | undefined {
  const { kind } = place;
  const seconds = Math.min(kind.gracePeriodSeconds?.(current, options.gracePeriodSeconds) ?? 0, maxGraceSeconds);
  const next = copyOf(current);
  const { metadata } = next;
  if (metadata.deletionTimestamp) {
    const before = metadata.deletionGracePeriodSeconds ?? 0;
    if (options.gracePeriodSeconds === undefined || seconds >= before) return undefined;
    const deadline = Date.parse(String(metadata.deletionTimestamp)) - (before - seconds) * 1000;
    metadata.deletionTimestamp = toTime(deadline);
  } else {
    metadata.deletionTimestamp = toTime(nowMs + seconds * 1000);
    if (metadata.generation !== undefined) metadata.generation += 1;
    setPropagation(next, options.propagationPolicy ?? defaultPolicy(kind, next));
    kind.prepareDelete?.(next);
  }
  metadata.deletionGracePeriodSeconds = seconds;
  return next;
}

/** What becomes of dependents when nobody says: the object's own finalizers come before the kind's habit. */
function defaultPolicy(kind: Kind, { metadata }: Stored): DeleteOptions['propagationPolicy'] {
  if (!kind.orphansByDefault || metadata.finalizers?.includes('foregroundDeletion')) return undefined;
  return 'Orphan';
}

/** kube-apiserver's words, for clients that expect what they do not say. */
export function warnOfOrphans(kind: Kind, { propagationPolicy }: DeleteOptions, caller: Caller): void {
  if (!kind.orphansByDefault || propagationPolicy) return;
  caller.warn(
    'child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning',
  );
}

/** The finalizers by which the garbage collector knows what to do with dependents first. */
function setPropagation({ metadata }: Stored, policy: DeleteOptions['propagationPolicy']): void {
  if (!policy) return;
  const finalizers = (metadata.finalizers ?? []).filter((name) => name !== 'orphan' && name !== 'foregroundDeletion');
  if (policy === 'Orphan') finalizers.push('orphan');
  if (policy === 'Foreground') finalizers.push('foregroundDeletion');
  if (finalizers.length > 0) metadata.finalizers = finalizers;
  else delete metadata.finalizers;
}

function checkPreconditions({ kind, name }: Place, { preconditions }: DeleteOptions, current: Stored): void {
  const { uid, resourceVersion } = current.metadata;
  if (preconditions?.uid && preconditions.uid !== uid) {
    throw conflict(
      kind.ref,
      name,
      `the UID in the precondition (${preconditions.uid}) does not match the UID in record (${uid}). The object might have been deleted and then recreated`,
    );
  }
  if (preconditions?.resourceVersion && preconditions.resourceVersion !== resourceVersion) {
    throw conflict(
      kind.ref,
      name,
      `the ResourceVersion in the precondition (${preconditions.resourceVersion}) does not match the ResourceVersion in record (${resourceVersion}). The object might have been modified`,
    );
  }
}

function checkOptions({ propagationPolicy }: DeleteOptions): void {
  if (propagationPolicy === undefined || ['Foreground', 'Background', 'Orphan'].includes(propagationPolicy)) return;
  const message = `Unsupported value: "${propagationPolicy}": supported values: "Background", "Foreground", "Orphan"`;
  throw invalid({ group: 'meta.k8s.io', kind: 'DeleteOptions' }, '', [
    { reason: 'FieldValueNotSupported', message, field: 'propagationPolicy' },
  ]);
}
