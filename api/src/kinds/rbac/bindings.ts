/** What RoleBinding and ClusterRoleBinding share: defaults, validation (pkg/apis/rbac/validation) and how they are shown. */
import type { RoleRef, Subject } from 'kubernetes-types/rbac/v1.js';
import type { KubeObject } from '../../client.ts';
import type { Cause } from '../../errors.ts';
import { invalid, notSupported, required } from '../../field-errors.ts';
import { equalJson } from '../../json.ts';
import { dnsSubdomainProblems } from '../../names.ts';
import { ageCell, ageColumn, column, nameCell, nameColumn } from '../columns.ts';
import { pathSegmentProblems, rbacGroup } from './resources.ts';

export interface AnyBinding extends KubeObject {
  roleRef: RoleRef;
  subjects?: Subject[];
}

export const bindingColumns = [
  nameColumn,
  column('Role', 'The role it gives.'),
  ageColumn,
  column('Users', 'Users it gives it to.', { wide: true }),
  column('Groups', 'Groups it gives it to.', { wide: true }),
  column('ServiceAccounts', 'Service accounts it gives it to.', { wide: true }),
];

export function bindingRow(binding: AnyBinding, nowMs: number): string[] {
  const { roleRef } = binding;
  const named = (kind: string, show: (subject: Subject) => string) =>
    (binding.subjects ?? [])
      .filter((subject) => subject.kind === kind)
      .map(show)
      .join(', ');
  return [
    nameCell(binding),
    `${roleRef.kind}/${roleRef.name}`,
    ageCell(binding, nowMs),
    named('User', ({ name }) => name),
    named('Group', ({ name }) => name),
    named('ServiceAccount', ({ namespace, name }) => `${namespace}/${name}`),
  ];
}

export function bindingDefaults(binding: AnyBinding): void {
  if (binding.roleRef) binding.roleRef.apiGroup ||= rbacGroup;
  for (const subject of binding.subjects ?? []) {
    if (subject.kind === 'User' || subject.kind === 'Group') subject.apiGroup ||= rbacGroup;
  }
}

/** `roleKinds`: what it may refer to. */
export function validateBinding(binding: AnyBinding, roleKinds: string[], namespaced: boolean): Cause[] {
  const { apiGroup, kind, name } = binding.roleRef;
  const causes: Cause[] = [];
  if (apiGroup !== rbacGroup) causes.push(notSupported('roleRef.apiGroup', apiGroup, [rbacGroup]));
  if (!roleKinds.includes(kind)) causes.push(notSupported('roleRef.kind', kind, roleKinds));
  if (!name) causes.push(required('roleRef.name'));
  else causes.push(...pathSegmentProblems(name).map((problem) => invalid('roleRef.name', name, problem)));
  const subjects = binding.subjects ?? [];
  return [...causes, ...subjects.flatMap((subject, i) => validateSubject(subject, namespaced, `subjects[${i}]`))];
}

export function validateRoleRefUpdate(binding: AnyBinding, old: AnyBinding): Cause[] {
  if (equalJson(binding.roleRef, old.roleRef)) return [];
  return [invalid('roleRef', binding.roleRef, 'cannot change roleRef')];
}

function validateSubject(
  { kind, name, apiGroup = '', namespace }: Subject,
  namespaced: boolean,
  field: string,
): Cause[] {
  const causes: Cause[] = name ? [] : [required(`${field}.name`)];
  const groupIs = (wanted: string) => {
    if (apiGroup !== wanted) causes.push(notSupported(`${field}.apiGroup`, apiGroup, [wanted]));
  };
  switch (kind) {
    case 'ServiceAccount':
      if (name) causes.push(...dnsSubdomainProblems(name).map((problem) => invalid(`${field}.name`, name, problem)));
      groupIs('');
      if (!namespaced && !namespace) causes.push(required(`${field}.namespace`));
      return causes;
    case 'User':
    case 'Group':
      groupIs(rbacGroup);
      return causes;
    default:
      return [...causes, notSupported(`${field}.kind`, kind, ['ServiceAccount', 'User', 'Group'])];
  }
}
