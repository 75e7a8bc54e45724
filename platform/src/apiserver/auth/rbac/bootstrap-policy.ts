/**
 * Makes the ClusterRoles and bindings every cluster has, at each start: what is missing is made, what was taken out of one is put back
 * (unless its annotation autoupdate says false), what others added stays (component-helpers/auth/rbac/reconciliation).
 */

import { isDeepStrictEqual } from 'node:util';
import type { KubeObject, ResourceRef } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import { rbacResources } from '@sampan/api/kinds/rbac/resources.ts';
import type { ClusterRole, ClusterRoleBinding, Subject } from 'kubernetes-types/rbac/v1.js';
import { copyOf, type Stored } from '../../meta/object.ts';
import { type Caller, read, type VerbContext } from '../../verbs/context.ts';
import { create } from '../../verbs/create.ts';
import { rewrite } from '../../verbs/rewrite.ts';
import { nodeRules } from '../node/node-authorizer.ts';
import { systemUser } from '../user.ts';
import { componentBindings, componentRoles } from './component-roles.ts';
import { notCovered } from './rules.ts';
import { userBindings, userRoles } from './user-roles.ts';

const autoupdate = 'rbac.authorization.kubernetes.io/autoupdate';

/** Idempotent. Does nothing where the server has no such kinds. */
export async function ensureBootstrapPolicy(context: VerbContext): Promise<void> {
  const { group, version, resource } = rbacResources.clusterroles;
  if (!context.kinds.find(group, version, resource)) return;
  const roles = [...userRoles(), ...componentRoles(nodeRules.resourceRules)];
  const bindings = [...userBindings(), ...componentBindings()];
  await Promise.all([
    ...roles.map((role) => ensure(context, rbacResources.clusterroles, role, mendRole)),
    ...bindings.map((binding) => ensure(context, rbacResources.clusterrolebindings, binding, mendBinding)),
  ]);
  // Whoever comes next is asked for his rights.
  await context.cache.fresh();
}

const caller: Caller = {
  user: systemUser('system:apiserver'),
  dryRun: false,
  fieldManager: 'apiserver',
  fieldValidation: 'Strict',
  warn() {},
};

type Wanted = KubeObject & { metadata: { name: string } };

/** `mend` makes what stands into what it must be, in place. */
async function ensure<T extends Wanted>(
  context: VerbContext,
  ref: ResourceRef,
  wanted: T,
  mend: (object: T, wanted: T) => void,
): Promise<void> {
  const place = { kind: context.kinds.of(ref), namespace: undefined, name: wanted.metadata.name };
  const mended = (current: Stored): Stored => {
    const object = copyOf(current);
    if (object.metadata.annotations?.[autoupdate] !== 'false') mend(object as unknown as T, wanted);
    return object;
  };
  const there = read(context, place);
  if (!there) {
    try {
      await create(context, { kind: place.kind, namespace: undefined, body: wanted, caller });
      return;
    } catch (error) {
      if (!isReason(error, 'AlreadyExists')) throw error;
    }
  }
  if (there && isDeepStrictEqual(mended(there), copyOf(there))) return;
  await rewrite(context, { place, target: 'object', caller, change: mended });
}

function mendRole(role: ClusterRole, wanted: ClusterRole): void {
  mendMetadata(role, wanted);
  // An aggregated role's rules are the aggregation controller's.
  if (wanted.aggregationRule) role.aggregationRule ??= wanted.aggregationRule;
  else role.rules = [...(role.rules ?? []), ...(wanted.rules ?? []).filter((rule) => isMissing(role, rule))];
}

const isMissing = (role: ClusterRole, rule: NonNullable<ClusterRole['rules']>[number]): boolean =>
  notCovered(role.rules ?? [], [rule]).length > 0;

function mendBinding(binding: ClusterRoleBinding, wanted: ClusterRoleBinding): void {
  mendMetadata(binding, wanted);
  const has = (subject: Subject) =>
    (binding.subjects ?? []).some(
      ({ kind, name, namespace }) => kind === subject.kind && name === subject.name && namespace === subject.namespace,
    );
  const missing = (wanted.subjects ?? []).filter((subject) => !has(subject));
  if (missing.length > 0) binding.subjects = [...(binding.subjects ?? []), ...missing];
}

function mendMetadata(object: KubeObject, wanted: KubeObject): void {
  if (!object.metadata) return;
  object.metadata.labels = { ...wanted.metadata?.labels, ...object.metadata.labels };
  object.metadata.annotations = { ...wanted.metadata?.annotations, ...object.metadata.annotations };
}
