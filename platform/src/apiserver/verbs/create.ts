/** POST: decode, default, admit, validate, store. */
import type { ManagedEntry } from '@sampan/api/apply/managers.ts';
import type { KubeObject } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import type { Kind } from '@sampan/api/kind.ts';
import type { Commitment } from '../admission/admission.ts';
import { encode } from '../cache/encoding.ts';
import { keyOf } from '../cache/key.ts';
import { alreadyExists, conflict, invalid } from '../meta/failures.ts';
import { type Stored, withVersion } from '../meta/object.ts';
import { storedAs } from '../meta/stored-form.ts';
import { claimWrites } from './claims.ts';
import { admissionRequest, type Caller, read, type VerbContext } from './context.ts';
import { decodeObject } from './decode.ts';
import { ownersAfter, setOwners, takeOwners } from './managed-fields.ts';
import { dropDoubledOwners, settlePlace, stampCreate } from './system-fields.ts';

export interface CreateRequest {
  kind: Kind;
  namespace: string | undefined;
  body: unknown;
  caller: Caller;
  /** What it has for managedFields, where that is known already: it comes of an apply. */
  owners?: ManagedEntry[];
}

/** How often a create begins anew when another one took what it had chosen for itself (Kind.claims). */
const maxAttempts = 10;

/** Returns the object as stored (with dryRun: as it would have been). */
export async function create(context: VerbContext, request: CreateRequest): Promise<Stored> {
  for (let tries = 1; ; tries++) {
    const commitment: Commitment = { alongside: [], onEnd: [] };
    try {
      const made = await attemptCreate(context, request, commitment);
      if (made) return made;
    } finally {
      for (const end of commitment.onEnd) end();
    }
    if (tries === maxAttempts) throw conflict(request.kind.ref, nameIn(request.body));
  }
}

/** Undefined: somebody was faster to take what this object claims, or what admission writes with it. */
async function attemptCreate(
  context: VerbContext,
  request: CreateRequest,
  commitment: Commitment,
): Promise<Stored | undefined> {
  const { kind, namespace, caller } = request;
  const nowMs = context.clock.now();
  const object = decodeObject(kind, request.body, caller);
  settlePlace(object, { kind, namespace }, undefined);
  stampCreate(object, nowMs);
  dropDoubledOwners(object, caller);
  const given = takeOwners(object);
  kind.applyDefaults(object);
  const owners =
    request.owners ?? ownersAfter({ kind, object, given, old: undefined, caller, target: 'object', nowMs });

  const place = { kind, namespace, name: object.metadata.name ?? '' };
  await context.cache.fresh();
  const asked = { operation: 'CREATE', subresource: '', object, old: undefined } as const;
  const admission = { ...admissionRequest(context, place, caller, asked), commitment };
  await context.admission.mutate(admission);
  kind.applyDefaults(object);
  kind.prepareCreate(object);
  setOwners(object, owners);
  const causes = kind.validateCreate(object);
  if (causes.length > 0) throw invalid({ group: kind.ref.group, kind: kind.kind }, place.name, causes);
  await context.admission.validate(admission);

  if (read(context, place)) throw alreadyExists(kind.ref, place.name);
  if (caller.dryRun) return object;
  const key = keyOf(kind.ref, place.name, namespace);
  const writes = [
    { key, value: encode(storedAs(kind, object)), expect: 0 },
    ...claimWrites(kind, key, object, undefined),
    ...commitment.alongside,
  ];
  try {
    return withVersion(object, await context.store.commit(writes));
  } catch (error) {
    if (!isReason(error, 'Conflict')) throw error;
    await context.cache.fresh();
    if (writes.length === 1 || read(context, place)) throw alreadyExists(kind.ref, place.name);
    return undefined;
  }
}

function nameIn(body: unknown): string {
  return (body as KubeObject | undefined)?.metadata?.name ?? '';
}
