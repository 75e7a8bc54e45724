/** Whether a schema's pattern is a regular expression that RE2 takes. */
import type { Cause } from '../errors.ts';
import { invalid } from '../field-errors.ts';
import type { CustomSchema } from './custom-schema.ts';
import { compilePattern } from './pattern.ts';

export function patternProblems({ pattern }: CustomSchema, field: string): Cause[] {
  if (!pattern) return [];
  try {
    compilePattern(pattern);
    return [];
  } catch (error) {
    const detail = `must be a valid regular expression, but isn't: ${(error as Error).message}`;
    return [invalid(`${field}.pattern`, pattern, detail)];
  }
}
