/** Paths that must stay below where they are put. */
import type { Cause } from '../../../errors.ts';
import { invalid } from '../../../field-errors.ts';

/** Relative, and without a step up. */
export function checkDescendingPath(path: string, field: string): Cause[] {
  const causes: Cause[] = [];
  if (path.startsWith('/')) causes.push(invalid(field, path, 'must be a relative path'));
  if (hasBackstep(path)) causes.push(invalid(field, path, "must not contain '..'"));
  return causes;
}

/** The same, and not a name the atomic writer of volumes keeps for itself (`..data`). */
export function checkVolumeFilePath(path: string, field: string): Cause[] {
  const causes = checkDescendingPath(path, field);
  if (path.startsWith('..') && !hasBackstep(path)) causes.push(invalid(field, path, "must not start with '..'"));
  return causes;
}

export function hasBackstep(path: string): boolean {
  return path.split('/').includes('..');
}

/** A file mode given as a number, 0 to 0777. */
export function checkFileMode(mode: number | undefined, field: string): Cause[] {
  if (mode === undefined || (mode >= 0 && mode <= 0o777)) return [];
  return [invalid(field, mode, 'must be a number between 0 and 0777 (octal), both inclusive')];
}
