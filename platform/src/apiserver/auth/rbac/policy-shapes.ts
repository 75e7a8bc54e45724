/** Short forms for the tables of bootstrap policy: rules, roles and bindings as they are written there. */
import { rbacGroup } from '@sampan/api/kinds/rbac/resources.ts';
import type { ClusterRole, ClusterRoleBinding, PolicyRule, Subject } from 'kubernetes-types/rbac/v1.js';

export type BootstrapRole = ClusterRole & { metadata: { name: string } };
export type BootstrapBinding = ClusterRoleBinding & { metadata: { name: string } };

export const reading = 'get list watch';
export const writing = 'create delete deletecollection patch update';

const words = (text: string): string[] => text.split(' ').filter((word) => word !== '');

/** `core` stands for the group without a name; several groups and resources are separated by spaces. */
export function rule(verbs: string, groups: string, resources: string): PolicyRule {
  const apiGroups = words(groups).map((group) => (group === 'core' ? '' : group));
  return { verbs: words(verbs), apiGroups, resources: words(resources) };
}

export function paths(verbs: string, nonResourceURLs: string): PolicyRule {
  return { verbs: words(verbs), nonResourceURLs: words(nonResourceURLs) };
}

/** How the server knows which objects are of its own making, and that it may mend them. */
const marks = {
  annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'true' },
  labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults' },
};

const aggregateTo = (role: string) => `rbac.authorization.k8s.io/aggregate-to-${role}`;

/** `into`: the role that takes these rules up. */
export function clusterRole(name: string, rules: PolicyRule[], into?: string): BootstrapRole {
  const labels = { ...marks.labels, ...(into ? { [aggregateTo(into)]: 'true' } : {}) };
  return { metadata: { name, annotations: { ...marks.annotations }, labels }, rules };
}

/** A role whose rules are the sum of those labelled for it: the aggregation controller fills it. */
export function aggregate(name: string, into?: string): BootstrapRole {
  const { rules: _, ...role } = clusterRole(name, [], into);
  const clusterRoleSelectors = [{ matchLabels: { [aggregateTo(name)]: 'true' } }];
  return { ...role, rules: [], aggregationRule: { clusterRoleSelectors } };
}

export function binding(name: string, subjects: Subject[]): BootstrapBinding {
  return {
    metadata: { name, annotations: { ...marks.annotations }, labels: { ...marks.labels } },
    roleRef: { apiGroup: rbacGroup, kind: 'ClusterRole', name },
    subjects,
  };
}

export const group = (name: string): Subject => ({ apiGroup: rbacGroup, kind: 'Group', name });
export const user = (name: string): Subject => ({ apiGroup: rbacGroup, kind: 'User', name });
export const account = (name: string): Subject => ({ kind: 'ServiceAccount', name, namespace: 'kube-system' });
