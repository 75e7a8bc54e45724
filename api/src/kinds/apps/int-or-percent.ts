/** A number, or a share such as `25%` of something (apimachinery util/intstr). */
import type { Cause } from '../../errors.ts';
import { invalid } from '../../field-errors.ts';
import { nonNegativeMessage } from './workload-validation.ts';

export type IntOrPercent = number | string;

/** Worth of `value` where the whole is `total`. A text that is no percentage is worth nothing: validation does not let it in. */
export function scaledValue(value: IntOrPercent, total: number, round: 'up' | 'down'): number {
  if (typeof value === 'number') return value;
  const share = (percentOf(value) * total) / 100;
  return round === 'up' ? Math.ceil(share) : Math.floor(share);
}

export function isZero(value: IntOrPercent): boolean {
  return typeof value === 'number' ? value === 0 : percentOf(value) === 0;
}

export function validateIntOrPercent(
  value: IntOrPercent,
  field: string,
  options: { atMost100?: boolean } = {},
): Cause[] {
  if (typeof value === 'number') return value < 0 ? [invalid(field, value, nonNegativeMessage)] : [];
  if (!/^[0-9]{1,9}%$/.test(value)) {
    const detail =
      "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
    return [invalid(field, value, detail)];
  }
  return options.atMost100 && percentOf(value) > 100 ? [invalid(field, value, 'must not be greater than 100%')] : [];
}

function percentOf(value: string): number {
  return Number(/^(\d{1,9})%$/.exec(value)?.[1] ?? 0);
}
