/** From a request's body to an object of the kind it is meant to be, with unknown fields refused, told or dropped. */
import type { Kind } from '@sampan/api/kind.ts';
import { doubledFieldsOf } from '../meta/doubled-fields.ts';
import { badRequest } from '../meta/failures.ts';
import { apiVersionOf, stampType } from '../meta/kinds.ts';
import { copyOf, isObject, type Stored } from '../meta/object.ts';
import type { Caller } from './context.ts';

/** A private copy of `body` that has metadata and a type. Throws BadRequest in the API server's words. */
export function decodeObject(kind: Kind, body: unknown, caller: Caller): Stored {
  if (!isObject(body)) throw badRequest(`the object provided is unrecognized (must be of type ${kind.kind})`);
  const object = copyOf(body);
  const expected = apiVersionOf(kind.ref);
  if (object.apiVersion && object.apiVersion !== expected) {
    throw badRequest(
      `the API version in the data (${object.apiVersion}) does not match the expected API version (${expected})`,
    );
  }
  const subject = `${object.kind || kind.kind} in version "${kind.ref.version}" cannot be handled as a ${kind.kind}`;
  if (object.kind && object.kind !== kind.kind) throw badRequest(subject);
  stampType(kind, object);
  object.metadata ??= {};
  settleStructure({
    check: (value) => kind.checkStructure(value),
    object,
    caller,
    subject,
    doubled: doubledFieldsOf(body),
  });
  return object as unknown as Stored;
}

interface Structure {
  check: Kind['checkStructure'];
  object: object;
  caller: Caller;
  /** How refusals begin. */
  subject: string;
  /** Fields that stood twice in the body. */
  doubled?: string[];
}

/** Throws BadRequest for values of wrong types and, when strict, for unknown and doubled fields; otherwise those are told and dropped. */
export function settleStructure({ check, object, caller, subject, doubled = [] }: Structure): void {
  const { wrongTypes, unknownFields } = check(object);
  if (wrongTypes.length > 0) throw badRequest(`${subject}: ${wrongTypes.join(', ')}`);
  if (unknownFields.length === 0 && doubled.length === 0) return;
  const told = [
    ...unknownFields.map((path) => `unknown field "${path}"`),
    ...doubled.map((path) => `duplicate field "${path}"`),
  ];
  if (caller.fieldValidation === 'Strict') throw badRequest(`${subject}: strict decoding error: ${told.join(', ')}`);
  if (caller.fieldValidation === 'Warn') for (const text of told) caller.warn(text);
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
