/** Addresses behind Services: which an endpoint may have (validation.ValidateNonSpecialIP). */
import type { Cause } from '../../errors.ts';
import { invalid } from '../../field-errors.ts';
import { ipProblems } from '../../names.ts';

/** Addresses by which one would reach the wrong machine: the asking one, or its link's neighbours. */
const special: [RegExp, string][] = [
  [/^(0\.0\.0\.0|::)$/, 'may not be unspecified (0.0.0.0 or ::)'],
  [/^(127\.|::1$)/, 'may not be in the loopback range (127.0.0.0/8, ::1/128)'],
  [/^(169\.254\.|fe[89ab][0-9a-f]:)/i, 'may not be in the link-local range (169.254.0.0/16, fe80::/10)'],
  [/^(224\.0\.0\.|ff02:)/i, 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)'],
];

export function validateEndpointAddress(address: string, field: string): Cause[] {
  const problems = ipProblems(address);
  if (problems.length > 0) return problems.map((problem) => invalid(field, address, problem));
  return special.filter(([range]) => range.test(address)).map(([, why]) => invalid(field, address, why));
}
