/** PATCH: the stored object, changed as the patch says, then written as an update of it would be. */
import { SampanError } from '@sampan/api/errors.ts';
import type { Kind, Target } from '@sampan/api/kind.ts';
import { applyJsonPatch } from '@sampan/api/patch/json-patch.ts';
import { applyMergePatch } from '@sampan/api/patch/merge-patch.ts';
import { applyStrategicMergePatch } from '@sampan/api/patch/strategic-merge-patch.ts';
import { checkDepth } from '../meta/depth.ts';
import { badRequest } from '../meta/failures.ts';
import type { Stored } from '../meta/object.ts';
import type { Caller, Place, VerbContext } from './context.ts';
import { decodePatched } from './decode.ts';
import { withoutOwners } from './managed-fields.ts';
import { rewrite } from './rewrite.ts';
import { demandName, settlePlace } from './system-fields.ts';

export interface PatchRequest {
  place: Place;
  target: Target;
  /** The media type that says what kind of patch it is. */
  type: string;
  /** Parsed JSON. */
  patch: unknown;
  caller: Caller;
}

type ApplyPatch = (object: Stored, patch: unknown, kind: Kind) => Stored;

/** What an apply is sent as: another verb's (apply.ts), which creates too. */
export const applyType = 'application/apply-patch+yaml';

/** Needs a Go type that says how lists merge, which custom kinds do not have. */
const strategicType = 'application/strategic-merge-patch+json';

const patchTypes: Record<string, ApplyPatch> = {
  'application/json-patch+json': (object, patch) => applyJsonPatch(object, patch),
  'application/merge-patch+json': (object, patch) => applyMergePatch(object, requireObject(patch)),
  [strategicType]: (object, patch, kind) => {
    if (kind.openApiSchema) throw unsupportedPatch(Object.keys(patchTypes).filter((type) => type !== strategicType));
    return applyStrategicMergePatch(object, requireObject(patch), kind);
  },
};

/**
 * A patch that names no resourceVersion is tried again when another writer was faster; one that does gets Conflict.
 * Throws UnsupportedMediaType for other patch types; server-side apply is a verb of its own.
 */
export function patch(context: VerbContext, request: PatchRequest): Promise<Stored> {
  const { place, target, caller } = request;
  const apply = patcherFor(request.type);
  // They are large and the patch is seldom about them: then they stay as they are, and need not be copied to stay so.
  const bare = !isAboutOwners(request.patch);
  const change = (current: Stored) => {
    const before = bare ? withoutOwners(current) : current;
    const patched = apply(before, request.patch, place.kind);
    // Patch upon patch an object could go deeper than any body may.
    checkDepth(patched);
    demandName(patched, place);
    const object = decodePatched(place.kind, patched, request.patch, caller);
    settlePlace(object, place, place.name);
    return object;
  };
  return rewrite(context, { place, target, caller, change });
}

/** For callers that want to know before they read a body. Throws UnsupportedMediaType, also for server-side apply. */
export function patcherFor(type: string): ApplyPatch {
  const apply = Object.hasOwn(patchTypes, type) ? patchTypes[type] : undefined;
  if (apply) return apply;
  throw unsupportedPatch(Object.keys(patchTypes));
}

function unsupportedPatch(types: string[]): SampanError {
  const accepted = [...types, applyType].join(', ');
  return new SampanError(
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${accepted}`,
  );
}

function isAboutOwners(patch: unknown): boolean {
  const isWide = (path: unknown) => path === '' || path === '/metadata';
  if (Array.isArray(patch) && patch.some((one) => isWide(one?.path) || isWide(one?.from))) return true;
  return JSON.stringify(patch).includes('managedFields');
}

function requireObject(patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch))
    throw badRequest('a merge patch is an object');
  return patch;
}
