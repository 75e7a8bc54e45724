/**
 * Nobody gives what he has not got: who writes a role or a binding must hold every rule in it, or the verb `escalate` on the role,
 * or `bind` on what a binding refers to (pkg/registry/rbac/<kind>/policybased). Members of system:masters may.
 */

import { isDeepStrictEqual } from 'node:util';
import { rbacGroup, rbacResources } from '@sampan/api/kinds/rbac/resources.ts';
import type { ClusterRole, PolicyRule, RoleBinding } from 'kubernetes-types/rbac/v1.js';
import type { AdmissionPlugin, AdmissionRequest } from '../../admission/admission.ts';
import { forbidden, notFound } from '../../meta/failures.ts';
import type { Authorizer } from '../authorizer.ts';
import { masters } from '../user.ts';
import type { RbacAuthorizer } from './rbac-authorizer.ts';
import { describeRules, notCovered } from './rules.ts';

export interface EscalationOptions {
  rbac: RbacAuthorizer;
  /** Everything that may allow the verbs `escalate` and `bind`. */
  authorizer: Authorizer;
}

const everything: PolicyRule[] = [
  { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
  { verbs: ['*'], nonResourceURLs: ['*'] },
];

export function escalationCheck(options: EscalationOptions): AdmissionPlugin {
  return {
    name: 'RBACEscalation',
    async validate(request) {
      const { kind, operation, subresource, user } = request;
      if (kind.ref.group !== rbacGroup || subresource || user.groups.includes(masters)) return;
      if (operation !== 'CREATE' && operation !== 'UPDATE') return;
      if (kind.kind.endsWith('Binding')) await checkBinding(options, request);
      else await checkRole(options, request);
    },
  };
}

async function checkRole(options: EscalationOptions, request: AdmissionRequest): Promise<void> {
  const role = request.object as ClusterRole;
  const old = request.old as ClusterRole | undefined;
  if (old && isDeepStrictEqual([role.rules, role.aggregationRule], [old.rules, old.aggregationRule])) return;
  const { kind, name } = request;
  if (await may(options, request, { verb: 'escalate', resource: kind.ref.resource, name })) return;
  mustHold(options, request, role.rules ?? []);
  if (!role.aggregationRule?.clusterRoleSelectors?.length) return;
  if (notCovered(options.rbac.heldBy(request.user, ''), everything).length > 0) {
    throw forbidden(kind.ref, name, 'must have cluster-admin privileges to use the aggregationRule');
  }
}

async function checkBinding(options: EscalationOptions, request: AdmissionRequest): Promise<void> {
  const { roleRef, subjects } = request.object as RoleBinding;
  const old = request.old as RoleBinding | undefined;
  if (old && isDeepStrictEqual([roleRef, subjects], [old.roleRef, old.subjects])) return;
  const ref = roleRef.kind === 'Role' ? rbacResources.roles : rbacResources.clusterroles;
  if (await may(options, request, { verb: 'bind', resource: ref.resource, name: roleRef.name })) return;
  const rules = options.rbac.rulesOfRef(roleRef, request.namespace ?? '');
  if (!rules) throw notFound(ref, roleRef.name);
  mustHold(options, request, rules);
}

/** Asked for in the namespace of the object written; cluster-wide for cluster-scoped ones. */
async function may(
  { authorizer }: EscalationOptions,
  { user, namespace = '' }: AdmissionRequest,
  asked: { verb: string; resource: string; name: string },
): Promise<boolean> {
  const where = { group: rbacGroup, version: 'v1', subresource: '', namespace };
  return (await authorizer.authorize({ user, ...where, ...asked })).allowed;
}

function mustHold({ rbac }: EscalationOptions, request: AdmissionRequest, rules: PolicyRule[]): void {
  const { kind, name, user, namespace = '' } = request;
  const missing = notCovered(rbac.heldBy(user, namespace), rules);
  if (missing.length === 0) return;
  const groups = `[${user.groups.map((group) => JSON.stringify(group)).join(' ')}]`;
  const who = `user "${user.name}" (groups=${groups})`;
  const why = `${who} is attempting to grant RBAC permissions not currently held:\n${describeRules(missing)}`;
  throw forbidden(kind.ref, name, why);
}
