/** Where the kinds of rbac.authorization.k8s.io stand, and what they have in common. */
import type { ResourceRef } from '../../client.ts';

export const rbacGroup = 'rbac.authorization.k8s.io';

const place = { group: rbacGroup, version: 'v1' } as const;

export const rbacResources = {
  roles: { ...place, resource: 'roles', namespaced: true },
  rolebindings: { ...place, resource: 'rolebindings', namespaced: true },
  clusterroles: { ...place, resource: 'clusterroles', namespaced: false },
  clusterrolebindings: { ...place, resource: 'clusterrolebindings', namespaced: false },
} as const satisfies Record<string, ResourceRef>;

/** Names of roles and bindings may hold colons: anything that can stand in a path (apimachinery api/validation/path). */
export function pathSegmentProblems(name: string): string[] {
  if (name === '.' || name === '..') return [`may not be '${name}'`];
  return ['/', '%']
    .filter((character) => name.includes(character))
    .map((character) => `may not contain '${character}'`);
}
