/** RoleBinding: gives a Role, or the rules of a ClusterRole, within its namespace. */
import type { RoleBinding } from 'kubernetes-types/rbac/v1.js';
import { defineKind } from '../define.ts';
import { bindingColumns, bindingDefaults, bindingRow, validateBinding, validateRoleRefUpdate } from './bindings.ts';
import { pathSegmentProblems, rbacResources } from './resources.ts';

const validate = (binding: RoleBinding) => validateBinding(binding, ['Role', 'ClusterRole'], true);

export const roleBindingKind = defineKind<RoleBinding>({
  ref: rbacResources.rolebindings,
  kind: 'RoleBinding',
  nameProblems: pathSegmentProblems,
  columns: bindingColumns,
  row: bindingRow,
  defaults: bindingDefaults,
  validate,
  validateUpdate: (binding, old) => [...validate(binding), ...validateRoleRefUpdate(binding, old)],
});
