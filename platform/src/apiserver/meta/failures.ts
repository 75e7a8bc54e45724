/** The errors of the API server in Kubernetes' own words (apimachinery/pkg/api/errors). It owns wording, not policy. */
import type { ResourceRef } from '@sampan/api/client.ts';
import { type Cause, SampanError } from '@sampan/api/errors.ts';

type Resource = Pick<ResourceRef, 'group' | 'resource'>;

/** `pods` or `deployments.apps`: GroupResource.String(). */
export function qualified(ref: Resource): string {
  return ref.group ? `${ref.resource}.${ref.group}` : ref.resource;
}

const about = (ref: Resource, name: string) => ({ group: ref.group, kind: ref.resource, name });

export function notFound(ref: Resource, name: string): SampanError {
  return new SampanError('NotFound', `${qualified(ref)} "${name}" not found`, about(ref, name));
}

export function alreadyExists(ref: Resource, name: string): SampanError {
  return new SampanError('AlreadyExists', `${qualified(ref)} "${name}" already exists`, about(ref, name));
}

export function conflict(ref: Resource, name: string, why = staleWrite): SampanError {
  const message = `Operation cannot be fulfilled on ${qualified(ref)} "${name}": ${why}`;
  return new SampanError('Conflict', message, about(ref, name));
}

const staleWrite = 'the object has been modified; please apply your changes to the latest version and try again';

export function forbidden(ref: Resource, name: string, why: string): SampanError {
  const subject = name ? `${qualified(ref)} "${name}"` : qualified(ref);
  return new SampanError('Forbidden', `${subject} is forbidden: ${why}`, about(ref, name));
}

/** `Pod "x" is invalid: spec.containers: Required value`; several causes stand in brackets. */
export function invalid(of: { group: string; kind: string }, name: string, causes: Cause[]): SampanError {
  const lines = [...new Set(causes.map((cause) => (cause.field ? `${cause.field}: ${cause.message}` : cause.message)))];
  const list = lines.length === 1 ? lines[0] : `[${lines.join(', ')}]`;
  const kind = of.group ? `${of.kind}.${of.group}` : of.kind;
  return new SampanError('Invalid', `${kind} "${name}" is invalid: ${list}`, {
    group: of.group,
    kind: of.kind,
    name,
    causes,
  });
}

/** Causes name the fields and who owns them. */
export function applyConflict(message: string, causes: Cause[]): SampanError {
  return new SampanError('Conflict', message, { causes });
}

export function badRequest(message: string): SampanError {
  return new SampanError('BadRequest', message);
}

export function unknownPath(): SampanError {
  return new SampanError('NotFound', 'the server could not find the requested resource');
}

export function methodNotAllowed(ref?: Resource): SampanError {
  const message = 'the server does not allow this method on the requested resource';
  return new SampanError('MethodNotAllowed', message, ref ? { group: ref.group, kind: ref.resource } : {});
}

export function expired(message: string): SampanError {
  return new SampanError('Expired', message);
}

/** A watch or exact read asked for a version that history no longer holds. */
export function tooOld(wanted: number, oldest: number): SampanError {
  return expired(`too old resource version: ${wanted} (${oldest})`);
}
