/** ClusterRole: rules for everything, given everywhere or in one namespace; with an aggregationRule, the sum of others. */
import type { ClusterRole } from 'kubernetes-types/rbac/v1.js';
import type { Cause } from '../../errors.ts';
import { required } from '../../field-errors.ts';
import { nameCell, nameColumn } from '../columns.ts';
import { defineKind } from '../define.ts';
import { validateLabelSelector } from '../label-selector-validation.ts';
import { validateRules } from './policy-rules.ts';
import { pathSegmentProblems, rbacResources } from './resources.ts';
import { createdAtColumn } from './role.ts';

export const clusterRoleKind = defineKind<ClusterRole>({
  ref: rbacResources.clusterroles,
  kind: 'ClusterRole',
  nameProblems: pathSegmentProblems,
  columns: [nameColumn, createdAtColumn],
  row: (role) => [nameCell(role), String(role.metadata?.creationTimestamp ?? '')],
  validate: (role) => [...validateRules(role.rules, false), ...validateAggregation(role)],
});

function validateAggregation({ aggregationRule }: ClusterRole): Cause[] {
  if (!aggregationRule) return [];
  const field = 'aggregationRule.clusterRoleSelectors';
  const selectors = aggregationRule.clusterRoleSelectors ?? [];
  if (selectors.length === 0) {
    return [required(field, 'at least one clusterRoleSelector required if aggregationRule is non-nil')];
  }
  return selectors.flatMap((selector, i) => validateLabelSelector(selector, `${field}[${i}]`));
}
