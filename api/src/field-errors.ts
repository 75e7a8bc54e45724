/**
 * Causes of an Invalid answer, worded as Kubernetes words them (apimachinery util/validation/field).
 * A field is a path such as `spec.containers[0].name` or `metadata.labels[example.com/a]`.
 */
import type { Cause } from './errors.ts';

export function required(field: string, detail = ''): Cause {
  return cause('FieldValueRequired', field, 'Required value', detail);
}

export function invalid(field: string, value: unknown, detail: string): Cause {
  return cause('FieldValueInvalid', field, `Invalid value: ${show(value)}`, detail);
}

export function notSupported(field: string, value: unknown, supported: readonly string[]): Cause {
  const detail = `supported values: ${supported.map(show).join(', ')}`;
  return cause('FieldValueNotSupported', field, `Unsupported value: ${show(value)}`, detail);
}

export function forbidden(field: string, detail: string): Cause {
  return cause('FieldValueForbidden', field, 'Forbidden', detail);
}

export function duplicate(field: string, value: unknown): Cause {
  return cause('FieldValueDuplicate', field, `Duplicate value: ${show(value)}`, '');
}

export function notFound(field: string, value: unknown): Cause {
  return cause('FieldValueNotFound', field, `Not found: ${show(value)}`, '');
}

export function tooLong(field: string, maxBytes: number): Cause {
  return cause('FieldValueTooLong', field, 'Too long', `may not be more than ${maxBytes} bytes`);
}

export function tooMany(field: string, actual: number, max: number): Cause {
  return cause('FieldValueTooMany', field, `Too many: ${actual}`, `must have at most ${max} items`);
}

function cause(reason: string, field: string, head: string, detail: string): Cause {
  return { reason, field, message: detail ? `${head}: ${detail}` : head };
}

function show(value: unknown): string {
  return value === undefined ? 'null' : JSON.stringify(value);
}

/** One Invalid cause for each of `problems`, as the checks of names.ts return them. */
export function invalidFor(field: string, value: unknown, problems: string[]): Cause[] {
  return problems.map((problem) => invalid(field, value, problem));
}

/** NotSupported unless `value` is one of `supported`; Required when it is empty. */
export function checkEnum(field: string, value: string | undefined, supported: readonly string[]): Cause[] {
  if (!value) return [required(field)];
  return supported.includes(value) ? [] : [notSupported(field, value, supported)];
}
