/** ClusterRoleBinding: gives a ClusterRole everywhere. */
import type { ClusterRoleBinding } from 'kubernetes-types/rbac/v1.js';
import { defineKind } from '../define.ts';
import { bindingColumns, bindingDefaults, bindingRow, validateBinding, validateRoleRefUpdate } from './bindings.ts';
import { pathSegmentProblems, rbacResources } from './resources.ts';

const validate = (binding: ClusterRoleBinding) => validateBinding(binding, ['ClusterRole'], false);

export const clusterRoleBindingKind = defineKind<ClusterRoleBinding>({
  ref: rbacResources.clusterrolebindings,
  kind: 'ClusterRoleBinding',
  nameProblems: pathSegmentProblems,
  columns: bindingColumns,
  row: bindingRow,
  defaults: bindingDefaults,
  validate,
  validateUpdate: (binding, old) => [...validate(binding), ...validateRoleRefUpdate(binding, old)],
});
