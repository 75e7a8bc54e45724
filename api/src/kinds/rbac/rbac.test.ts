import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '../../client.ts';
import type { Kind } from '../../kind.ts';
import { clusterRoleKind } from './cluster-role.ts';
import { clusterRoleBindingKind } from './cluster-role-binding.ts';
import { roleKind } from './role.ts';
import { roleBindingKind } from './role-binding.ts';

function problems(kind: Kind, object: object): string[] {
  const metadata = { name: 'x', ...(kind.ref.namespaced ? { namespace: 'default' } : {}) };
  const whole = { metadata, ...object } as KubeObject;
  kind.applyDefaults(whole);
  return kind.validateCreate(whole).map(({ field, message }) => `${field}: ${message}`);
}

test('rules name verbs, and either resources or paths', () => {
  const rules = [
    { verbs: [] },
    { verbs: ['get'], apiGroups: [''], resources: ['pods'] },
    { verbs: ['get'], nonResourceURLs: ['/a'], resources: ['pods'] },
  ];
  assert.deepEqual(problems(roleKind, { rules }), [
    'rules[0].verbs: Required value: verbs must contain at least one value',
    'rules[0].apiGroups: Required value: resource rules must supply at least one api group',
    'rules[0].resources: Required value: resource rules must supply at least one resource',
    'rules[2].nonResourceURLs: Invalid value: ["/a"]: namespaced rules cannot apply to non-resource URLs',
    'rules[2].nonResourceURLs: Invalid value: ["/a"]: rules cannot apply to both regular resources and non-resource URLs',
  ]);
  assert.deepEqual(problems(clusterRoleKind, { rules: [{ verbs: ['get'], nonResourceURLs: ['/a'] }] }), []);
});

test('roles may have colons in their names, and no slashes', () => {
  const named = (name: string) => problems(clusterRoleKind, { metadata: { name } });
  assert.deepEqual(named('system:node:Of-Mine'), []);
  assert.deepEqual(named('a/b'), [`metadata.name: Invalid value: "a/b": may not contain '/'`]);
  assert.deepEqual(named('..'), [`metadata.name: Invalid value: "..": may not be '..'`]);
});

test('an aggregate selects something', () => {
  assert.deepEqual(problems(clusterRoleKind, { aggregationRule: { clusterRoleSelectors: [] } }), [
    'aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil',
  ]);
  const odd = { clusterRoleSelectors: [{ matchExpressions: [{ key: 'a', operator: 'Like' }] }] };
  assert.match(problems(clusterRoleKind, { aggregationRule: odd })[0] ?? '', /not a valid selector operator/);
});

test('bindings refer to a role and name subjects of known kinds', () => {
  const roleRef = { kind: 'Role', name: 'r' };
  const subjects = [
    { kind: 'User', name: 'ann' },
    { kind: 'ServiceAccount', name: 'Bob' },
    { kind: 'Robot', name: 'r2', apiGroup: 'rbac.authorization.k8s.io' },
    { kind: 'Group', name: '', apiGroup: 'example.com' },
  ];
  assert.deepEqual(
    problems(roleBindingKind, { roleRef, subjects }).map((problem) => problem.replace(/: a lowercase.*/, '')),
    [
      'subjects[1].name: Invalid value: "Bob"',
      'subjects[2].kind: Unsupported value: "Robot": supported values: "ServiceAccount", "User", "Group"',
      'subjects[3].name: Required value',
      'subjects[3].apiGroup: Unsupported value: "example.com": supported values: "rbac.authorization.k8s.io"',
    ],
  );
  assert.deepEqual(problems(clusterRoleBindingKind, { roleRef, subjects: [{ kind: 'ServiceAccount', name: 'a' }] }), [
    'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"',
    'subjects[0].namespace: Required value',
  ]);
});

test('a binding is shown with its role and its subjects', () => {
  const binding = {
    metadata: { name: 'b', creationTimestamp: '2026-01-01T00:00:00Z' },
    roleRef: { kind: 'ClusterRole', name: 'view' },
    subjects: [
      { kind: 'User', name: 'ann' },
      { kind: 'User', name: 'bob' },
      { kind: 'ServiceAccount', name: 'robot', namespace: 'shop' },
    ],
  };
  const row = roleBindingKind.row(binding as KubeObject, Date.parse('2026-01-01T01:00:00Z'));
  assert.deepEqual(row, ['b', 'ClusterRole/view', '60m', 'ann, bob', '', 'shop/robot']);
});
