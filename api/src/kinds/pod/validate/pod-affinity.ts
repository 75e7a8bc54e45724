/** Affinity between Pods. */
import type { PodAffinity, PodAffinityTerm } from 'kubernetes-types/core/v1.js';
import type { Cause } from '../../../errors.ts';
import { invalid, invalidFor, required } from '../../../field-errors.ts';
import { dnsLabelProblems, qualifiedNameProblems } from '../../../names.ts';
import { validateLabelSelector } from '../../label-selector-validation.ts';

export function validatePodAffinity(affinity: PodAffinity = {}, field: string): Cause[] {
  const hard = affinity.requiredDuringSchedulingIgnoredDuringExecution ?? [];
  const soft = affinity.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  return [
    ...hard.flatMap((term, i) => validateTerm(term, `${field}.requiredDuringSchedulingIgnoredDuringExecution[${i}]`)),
    ...soft.flatMap(({ weight, podAffinityTerm }, i) => {
      const at = `${field}.preferredDuringSchedulingIgnoredDuringExecution[${i}]`;
      return [...checkWeight(weight, `${at}.weight`), ...validateTerm(podAffinityTerm, `${at}.podAffinityTerm`)];
    }),
  ];
}

function validateTerm(term: PodAffinityTerm, field: string): Cause[] {
  const causes = validateLabelSelector(term.labelSelector, `${field}.labelSelector`);
  causes.push(...validateLabelSelector(term.namespaceSelector, `${field}.namespaceSelector`));
  for (const name of term.namespaces ?? [])
    causes.push(...invalidFor(`${field}.namespace`, name, dnsLabelProblems(name)));
  const { topologyKey = '' } = term;
  if (!topologyKey) causes.push(required(`${field}.topologyKey`, 'can not be empty'));
  return [...causes, ...invalidFor(`${field}.topologyKey`, topologyKey, qualifiedNameProblems(topologyKey))];
}

export function checkWeight(weight: number, field: string): Cause[] {
  return weight >= 1 && weight <= 100 ? [] : [invalid(field, weight ?? 0, 'must be in the range 1-100')];
}
