/** Role: rules that a RoleBinding of the same namespace gives to its subjects. */
import type { Role } from 'kubernetes-types/rbac/v1.js';
import { column, nameCell, nameColumn } from '../columns.ts';
import { defineKind } from '../define.ts';
import { validateRules } from './policy-rules.ts';
import { pathSegmentProblems, rbacResources } from './resources.ts';

export const createdAtColumn = column('Created At', 'When the object was created.', { type: 'date' });

export const roleKind = defineKind<Role>({
  ref: rbacResources.roles,
  kind: 'Role',
  nameProblems: pathSegmentProblems,
  columns: [nameColumn, createdAtColumn],
  row: (role) => [nameCell(role), String(role.metadata?.creationTimestamp ?? '')],
  validate: (role) => validateRules(role.rules, true),
});
