/** Access modes of volumes and claims: their names, and how tables abbreviate them. */
import type { Cause } from '../../errors.ts';
import { checkEnum, forbidden, required } from '../../field-errors.ts';

const abbreviations: Record<string, string> = {
  ReadWriteOnce: 'RWO',
  ReadOnlyMany: 'ROX',
  ReadWriteMany: 'RWX',
  ReadWriteOncePod: 'RWOP',
};

export function accessModesCell(modes: string[] = []): string {
  return Object.keys(abbreviations)
    .filter((mode) => modes.includes(mode))
    .map((mode) => abbreviations[mode])
    .join(',');
}

export function validateAccessModes(modes: string[] = [], field: string): Cause[] {
  if (modes.length === 0) return [required(field, 'at least 1 access mode is required')];
  const causes = modes.flatMap((mode) => checkEnum(field, mode, Object.keys(abbreviations).sort()));
  if (modes.includes('ReadWriteOncePod') && modes.length > 1) {
    causes.push(forbidden(field, 'may not use ReadWriteOncePod with other access modes'));
  }
  return causes;
}
