/** PUT: the whole object, or the part of it that a subresource stands for. */
import type { SampanError } from '@sampan/api/errors.ts';
import type { Target } from '@sampan/api/kind.ts';
import { invalid } from '../meta/failures.ts';
import { copyOf, isObject, type Stored } from '../meta/object.ts';
import type { Caller, Place, VerbContext } from './context.ts';
import { decodeObject } from './decode.ts';
import { rewrite } from './rewrite.ts';
import { demandName, settlePlace } from './system-fields.ts';

export interface UpdateRequest {
  place: Place;
  target: Target;
  body: unknown;
  caller: Caller;
}

/** Throws Conflict when the body carries a resourceVersion that is no longer current; without one it writes unconditionally, where the kind allows that. */
export async function update(context: VerbContext, request: UpdateRequest): Promise<Stored> {
  const { place, target, caller } = request;
  const { body, owners } = splitOwners(request.body);
  const object = decodeObject(place.kind, body, caller);
  demandName(body, place);
  settlePlace(object, place, place.name);
  const change = () => {
    if (place.kind.conditionalUpdates && !object.metadata.resourceVersion) throw unconditional(place);
    const next = copyOf(object);
    if (owners !== undefined) next.metadata.managedFields = owners;
    return next;
  };
  return rewrite(context, { place, target, caller, change });
}

function unconditional({ kind, name }: Place): SampanError {
  const { group, resource } = kind.ref;
  const message = 'Invalid value: 0x0: must be specified for an update';
  return invalid({ group, kind: resource }, name, [
    { reason: 'FieldValueInvalid', message, field: 'metadata.resourceVersion' },
  ]);
}

/** managedFields are large, mostly come back as they went out, and are parsed on their own: they need not be copied. */
function splitOwners(body: unknown): { body: unknown; owners?: unknown[] } {
  if (!isObject(body) || !isObject(body.metadata)) return { body };
  const { managedFields, ...metadata } = body.metadata;
  if (!Array.isArray(managedFields)) return { body };
  return { body: { ...body, metadata }, owners: managedFields };
}
