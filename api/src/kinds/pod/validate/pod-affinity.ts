/** Affinity between Pods. */
import type { PodAffinity, PodAffinityTerm } from 'kubernetes-types/core/v1.js';
import type { LabelSelector } from 'kubernetes-types/meta/v1.js';
import type { Cause } from '../../../errors.ts';
import { forbidden, invalid, invalidFor, required } from '../../../field-errors.ts';
import { dnsLabelProblems, labelValueProblems, qualifiedNameProblems } from '../../../names.ts';
import { validateLabels } from '../../metadata.ts';

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

export function validateLabelSelector(selector: LabelSelector = {}, field: string): Cause[] {
  const causes = validateLabels(selector.matchLabels, `${field}.matchLabels`);
  for (const [i, { key, operator, values = [] }] of (selector.matchExpressions ?? []).entries()) {
    const at = `${field}.matchExpressions[${i}]`;
    if (operator === 'In' || operator === 'NotIn') {
      if (values.length === 0) {
        causes.push(required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
      }
    } else if (operator === 'Exists' || operator === 'DoesNotExist') {
      if (values.length > 0) {
        causes.push(forbidden(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
      }
    } else causes.push(invalid(`${at}.operator`, operator ?? '', 'not a valid selector operator'));
    causes.push(...invalidFor(`${at}.key`, key, qualifiedNameProblems(key ?? '')));
    causes.push(...values.flatMap((value, k) => invalidFor(`${at}.values[${k}]`, value, labelValueProblems(value))));
  }
  return causes;
}

export function checkWeight(weight: number, field: string): Cause[] {
  return weight >= 1 && weight <= 100 ? [] : [invalid(field, weight ?? 0, 'must be in the range 1-100')];
}
