/** The rules of a schema for strings and numbers. */
import type { Cause } from '../errors.ts';
import { invalid } from '../field-errors.ts';
import type { CustomSchema } from './custom-schema.ts';
import { fitsFormat } from './formats.ts';
import { compilePattern } from './pattern.ts';

export function checkString(value: string, schema: CustomSchema, field: string): Cause[] {
  const causes: Cause[] = [];
  const { minLength, maxLength, pattern } = schema;
  const refuse = (detail: string) => causes.push(invalid(field, value, `${field} in body ${detail}`));
  if (minLength || maxLength !== undefined) {
    const length = lengthOf(value);
    if (length < (minLength ?? 0)) refuse(`should be at least ${minLength} chars long`);
    if (maxLength !== undefined && length > maxLength) {
      const message = `Too long: may not be more than ${maxLength} bytes`;
      causes.push({ reason: 'FieldValueTooLong', field, message });
    }
  }
  if (pattern && !compilePattern(pattern)(value)) refuse(`should match '${pattern}'`);
  causes.push(...checkFormat(value, schema, field));
  return causes;
}

export function checkNumber(value: number, schema: CustomSchema, field: string): Cause[] {
  const causes: Cause[] = [];
  const { minimum, maximum, multipleOf } = schema;
  const refuse = (detail: string) => causes.push(invalid(field, value, `${field} in body ${detail}`));
  if (maximum !== undefined) {
    if (schema.exclusiveMaximum ? value >= maximum : value > maximum) {
      refuse(`should be less than ${schema.exclusiveMaximum ? '' : 'or equal to '}${maximum}`);
    }
  }
  if (minimum !== undefined) {
    if (schema.exclusiveMinimum ? value <= minimum : value < minimum) {
      refuse(`should be greater than ${schema.exclusiveMinimum ? '' : 'or equal to '}${minimum}`);
    }
  }
  if (multipleOf && !isMultiple(value, multipleOf)) refuse(`should be a multiple of ${multipleOf}`);
  causes.push(...checkFormat(value, schema, field));
  return causes;
}

function checkFormat(value: string | number, { format }: CustomSchema, field: string): Cause[] {
  if (!format || fitsFormat(value, format)) return [];
  return [invalid(field, value, `${field} in body must be of type ${format}: ${JSON.stringify(value)}`)];
}

/** In characters, as Go counts runes. */
function lengthOf(value: string): number {
  let length = 0;
  for (const _ of value) length += 1;
  return length;
}

/** Decimal fractions are not exact in binary: 0.3 is a multiple of 0.1. */
function isMultiple(value: number, of: number): boolean {
  const times = value / of;
  return Math.abs(times - Math.round(times)) < 1e-9 * Math.max(1, Math.abs(times));
}
