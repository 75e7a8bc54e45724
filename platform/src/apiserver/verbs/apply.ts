/**
 * Server-side apply (KEP-555): PATCH with a configuration, the fields a manager has an opinion on. It creates the object, or is merged into it;
 * fields that the manager applied before and does not now go, and what others own is a conflict unless forced.
 */
import { canonicalConfiguration } from '@sampan/api/apply/canonical.ts';
import { configurationProblems } from '@sampan/api/apply/check.ts';
import { pathText } from '@sampan/api/apply/field-set.ts';
import { managerText } from '@sampan/api/apply/managers.ts';
import {
  applyConfiguration,
  type Conflict,
  isOwnClientApply,
  lastAppliedOf,
  withLastApplied,
} from '@sampan/api/apply/ownership.ts';
import { structureOf } from '@sampan/api/apply/structure.ts';
import { isReason, type SampanError } from '@sampan/api/errors.ts';
import type { JsonObject } from '@sampan/api/json.ts';
import type { Kind, Target } from '@sampan/api/kind.ts';
import { applyConflict, badRequest, conflict, notFound } from '../meta/failures.ts';
import { apiVersionOf } from '../meta/kinds.ts';
import { copyOf, isObject, type Stored } from '../meta/object.ts';
import type { Caller, Place, VerbContext } from './context.ts';
import { readFresh } from './context.ts';
import { create } from './create.ts';
import { writeOf } from './managed-fields.ts';
import { rewrite } from './rewrite.ts';
import { settlePlace } from './system-fields.ts';

export interface ApplyRequest {
  place: Place;
  target: Target;
  /** Parsed JSON. */
  configuration: unknown;
  caller: Caller;
  /** Takes over what others own. */
  force: boolean;
  /** Throws Forbidden when the caller may not create what is not there. */
  mayCreate(): Promise<void>;
}

export interface ApplyAnswer {
  object: Stored;
  created: boolean;
}

/** kubectl's own name: it may take over from its client-side apply. */
const kubectl = 'kubectl';

/** How often an object may come and go under an apply. */
const maxAttempts = 5;

/** Throws Conflict naming each field and who owns it; BadRequest for a configuration that is none. */
export async function apply(context: VerbContext, request: ApplyRequest): Promise<ApplyAnswer> {
  const { place, target } = request;
  const configuration = checkConfiguration(request);
  for (let tries = 1; ; tries++) {
    const exists = (await readFresh(context, place)) !== undefined;
    if (!exists && target !== 'object') throw notFound(place.kind.ref, place.name);
    try {
      const object = await (exists ? applyToObject : applyAsNew)(context, request, configuration);
      return { object, created: !exists };
    } catch (error) {
      if (!isReason(error, exists ? 'NotFound' : 'AlreadyExists') || tries === maxAttempts) throw error;
    }
  }
}

async function applyAsNew(context: VerbContext, request: ApplyRequest, configuration: Stored): Promise<Stored> {
  const { place, target, caller, force } = request;
  const { kind, namespace, name } = place;
  const { uid } = configuration.metadata;
  if (uid) {
    const why = `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`;
    throw conflict(kind.ref, name, why);
  }
  await request.mayCreate();
  const write = { kind, old: undefined, caller, target, nowMs: context.clock.now() };
  const applied = applyConfiguration(writeOf(write, 'Apply'), configuration, force);
  if (applied.conflicts) throw conflictError(applied.conflicts);
  return create(context, { kind, namespace, body: applied.object, caller, owners: applied.owners });
}

function applyToObject(context: VerbContext, request: ApplyRequest, configuration: Stored): Promise<Stored> {
  const { place, target, caller } = request;
  const change = (current: Stored) => changed(context, request, configuration, current);
  return rewrite(context, { place, target, caller, change, tracked: true });
}

function changed(context: VerbContext, request: ApplyRequest, configuration: Stored, current: Stored): Stored {
  const { place, target, caller, force } = request;
  const write = writeOf({ kind: place.kind, old: current, caller, target, nowMs: context.clock.now() }, 'Apply');
  let applied = applyConfiguration(write, configuration, force);
  if (applied.conflicts && caller.fieldManager === kubectl) {
    const { structure, by } = write;
    if (isOwnClientApply(structure, current, applied.conflicts, by.apiVersion)) {
      applied = applyConfiguration(write, configuration, true);
    }
  }
  if (applied.conflicts) throw conflictError(applied.conflicts);
  const keepsAnnotation = caller.fieldManager === kubectl && lastAppliedOf(applied.object) !== undefined;
  const merged = keepsAnnotation
    ? withLastApplied(applied.object, configuration as unknown as JsonObject)
    : applied.object;
  const object = copyOf(merged) as unknown as Stored;
  object.metadata.managedFields = applied.owners;
  return object;
}

/** A private copy with name and namespace in place. Throws BadRequest in the API server's words. */
function checkConfiguration({ place, configuration }: ApplyRequest): Stored {
  const { kind } = place;
  if (!isObject(configuration)) throw badRequest('error decoding YAML: the applied configuration is no object');
  const object = copyOf(configuration) as unknown as Stored;
  if (object.apiVersion !== apiVersionOf(kind.ref) || object.kind !== kind.kind) {
    throw badRequest(`invalid object type: ${grouped(object.apiVersion)}, Kind=${object.kind ?? ''}`);
  }
  object.metadata ??= {};
  if (!isObject(object.metadata)) throw badRequest('metadata must be an object');
  if (object.metadata.managedFields !== undefined && object.metadata.managedFields !== null) {
    throw badRequest('metadata.managedFields must be nil');
  }
  delete object.metadata.managedFields;
  settlePlace(object, place, place.name);
  const problem = structureProblem(kind, object);
  if (!problem) return canonicalConfiguration(kind, object);
  const subject = `${place.namespace ?? ''}/${place.name}; ${grouped(object.apiVersion)}, Kind=${kind.kind}`;
  throw badRequest(`failed to create typed patch object (${subject}): ${problem}`);
}

/** `/v1` for the core group, as Go prints a GroupVersionKind. */
function grouped(apiVersion: unknown): string {
  const text = typeof apiVersion === 'string' ? apiVersion : '';
  return text.includes('/') ? text : `/${text}`;
}

function structureProblem(kind: Kind, object: Stored): string | undefined {
  const { wrongTypes, unknownFields } = kind.checkStructure(object);
  const problems = [...wrongTypes, ...unknownFields.map((path) => `.${path}: field not declared in schema`)];
  if (problems.length === 0) problems.push(...configurationProblems(structureOf(kind), object));
  return problems.length > 1 ? `errors:\n${problems.map((one) => `  ${one}`).join('\n')}` : problems[0];
}

/** In the words of apimachinery's managedfields.NewConflictError. */
function conflictError(conflicts: Conflict[]): SampanError {
  const texts = conflicts.map(({ with: entry, path }) => ({ manager: managerText(entry), field: pathText(path) }));
  const causes = texts.map(({ manager, field }) => ({
    reason: 'FieldManagerConflict',
    message: `conflict with ${manager}`,
    field,
  }));
  const [first] = texts;
  if (texts.length === 1 && first) {
    return applyConflict(`Apply failed with 1 conflict: ${causes[0]?.message}: ${first.field}`, causes);
  }
  const lines = [...new Set(texts.map(({ manager }) => manager))]
    .sort()
    .flatMap((manager) => [
      `conflicts with ${manager}:`,
      ...texts.filter((text) => text.manager === manager).map(({ field }) => `- ${field}`),
    ]);
  return applyConflict(`Apply failed with ${texts.length} conflicts: ${lines.join('\n')}`, causes);
}
