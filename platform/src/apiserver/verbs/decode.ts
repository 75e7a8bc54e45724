/** From a request's body to an object of the kind it is meant to be, with unknown fields refused, told or dropped. */
import { isReason } from '@sampan/api/errors.ts';
import type { Kind } from '@sampan/api/kind.ts';
import { doubledFieldsOf } from '../meta/doubled-fields.ts';
import { badRequest, invalid } from '../meta/failures.ts';
import { apiVersionOf, stampType } from '../meta/kinds.ts';
import { copyOf, isObject, type Stored } from '../meta/object.ts';
import type { Caller } from './context.ts';

/** Characters of an object that an answer shows back. */
const maxEchoed = 4096;

/** A private copy of `body` that has metadata and a type. Throws BadRequest in the API server's words. */
export function decodeObject(kind: Kind, body: unknown, caller: Caller): Stored {
  const object = typedCopy(kind, body);
  const told = isObject(body) ? doubledFieldsOf(body).map(doubledField) : [];
  settleStructure({ check: (value) => kind.checkStructure(value), object, caller, subject: subjectOf(kind), told });
  return object;
}

const doubledField = (path: string): string => `duplicate field "${path}"`;

/** How refusals of a body begin. */
const subjectOf = (kind: Kind, given = kind.kind): string =>
  `${given} in version "${kind.ref.version}" cannot be handled as a ${kind.kind}`;

function typedCopy(kind: Kind, body: unknown): Stored {
  if (!isObject(body)) throw badRequest(`the object provided is unrecognized (must be of type ${kind.kind})`);
  // For its own kinds the API server knows what the path stands for; an object of a custom kind must say what it is.
  const missing = kind.openApiSchema && (!body.kind ? 'Kind' : !body.apiVersion ? 'apiVersion' : undefined);
  if (missing) {
    const why = `Object '${missing}' is missing in '${JSON.stringify(body).slice(0, maxEchoed)}'`;
    throw badRequest(`the object provided is unrecognized (must be of type ${kind.kind}): ${why}`);
  }
  const object = copyOf(body);
  const expected = apiVersionOf(kind.ref);
  if (object.apiVersion && object.apiVersion !== expected) {
    throw badRequest(
      `the API version in the data (${object.apiVersion}) does not match the expected API version (${expected})`,
    );
  }
  if (object.kind && object.kind !== kind.kind) throw badRequest(subjectOf(kind, String(object.kind)));
  stampType(kind, object);
  object.metadata ??= {};
  return object as unknown as Stored;
}

/**
 * What a patch made of an object, as one of its kind. It was not a body: what is wrong with it is Invalid, with `patch` as the field
 * (apiserver/pkg/endpoints/handlers patch.go).
 */
export function decodePatched(kind: Kind, patched: unknown, patch: unknown, caller: Caller): Stored {
  const doubled = isObject(patch) || Array.isArray(patch) ? doubledFieldsOf(patch) : [];
  const told = doubled.map((path) => `${Array.isArray(patch) ? 'json patch ' : ''}${doubledField(path)}`);
  try {
    const object = typedCopy(kind, patched);
    settleStructure({ check: (value) => kind.checkStructure(value), object, caller, told });
    return object;
  } catch (error) {
    if (!isReason(error, 'BadRequest')) throw error;
    const { metadata, ...rest } = (isObject(patched) ? patched : {}) as unknown as Stored;
    const shown = JSON.stringify({ ...rest, metadata: { ...metadata, managedFields: undefined } }).slice(0, maxEchoed);
    const message = `Invalid value: ${JSON.stringify(shown)}: ${error.message}`;
    throw invalid({ group: '', kind: '' }, '', [{ reason: 'FieldValueInvalid', message, field: 'patch' }]);
  }
}

interface Structure {
  check: Kind['checkStructure'];
  object: object;
  caller: Caller;
  /** How refusals begin. */
  subject?: string;
  /** What else is told, or refused when strict: fields that stood twice in the body. */
  told?: string[];
}

/** Throws BadRequest for values of wrong types and, when strict, for unknown and doubled fields; otherwise those are told and dropped. */
export function settleStructure({ check, object, caller, subject, told = [] }: Structure): void {
  const refusal = (why: string) => badRequest(subject ? `${subject}: ${why}` : why);
  const { wrongTypes, unknownFields } = check(object);
  if (wrongTypes.length > 0) throw refusal(wrongTypes.join(', '));
  const all = [...unknownFields.map((path) => `unknown field "${path}"`), ...told];
  if (all.length === 0) return;
  if (caller.fieldValidation === 'Strict') throw refusal(`strict decoding error: ${all.join(', ')}`);
  if (caller.fieldValidation === 'Warn') for (const text of all) caller.warn(text);
  for (const path of unknownFields) dropField(object, path);
}

/** Removes the field at a path such as `spec.containers[0].imagee`; a path that leads nowhere is left alone. */
export function dropField(object: unknown, path: string): void {
  let at: unknown = object;
  for (let rest = path; ; ) {
    // A name may have dots in it, so all that is left may be one name.
    if (isObject(at) && Object.hasOwn(at, rest)) {
      delete at[rest];
      return;
    }
    const [whole, index, name = ''] = /^(?:\[(\d+)\]|([^.[]+))\.?/.exec(rest) ?? [];
    if (whole === undefined) return;
    if (index !== undefined) at = Array.isArray(at) ? at[Number(index)] : undefined;
    else at = isObject(at) && Object.hasOwn(at, name) ? at[name] : undefined;
    rest = rest.slice(whole.length);
  }
}
