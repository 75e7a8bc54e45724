/** Validation of PolicyRules (pkg/apis/rbac/validation). */
import type { PolicyRule } from 'kubernetes-types/rbac/v1.js';
import type { Cause } from '../../errors.ts';
import { invalid, required } from '../../field-errors.ts';

/** `namespaced`: of a Role, which cannot speak of paths. */
export function validateRules(rules: PolicyRule[] = [], namespaced: boolean): Cause[] {
  return rules.flatMap((rule, i) => validateRule(rule, namespaced, `rules[${i}]`));
}

function validateRule(rule: PolicyRule, namespaced: boolean, field: string): Cause[] {
  const causes: Cause[] = [];
  if (!rule.verbs?.length) causes.push(required(`${field}.verbs`, 'verbs must contain at least one value'));
  const paths = rule.nonResourceURLs ?? [];
  if (paths.length > 0) {
    const at = `${field}.nonResourceURLs`;
    if (namespaced) causes.push(invalid(at, paths, 'namespaced rules cannot apply to non-resource URLs'));
    if (rule.apiGroups?.length || rule.resources?.length || rule.resourceNames?.length) {
      causes.push(invalid(at, paths, 'rules cannot apply to both regular resources and non-resource URLs'));
    }
    return causes;
  }
  if (!rule.apiGroups?.length) {
    causes.push(required(`${field}.apiGroups`, 'resource rules must supply at least one api group'));
  }
  if (!rule.resources?.length) {
    causes.push(required(`${field}.resources`, 'resource rules must supply at least one resource'));
  }
  return causes;
}
