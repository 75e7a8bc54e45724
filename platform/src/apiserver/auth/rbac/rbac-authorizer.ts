/**
 * RBAC: a user may do what a role says that a binding gives him (plugin/pkg/auth/authorizer/rbac). Reads the watch cache, so a binding
 * counts a moment after it was stored. It owns the answer; who may write roles and bindings is escalation.ts.
 */
import type { ResourceRef } from '@sampan/api/client.ts';
import { rbacResources } from '@sampan/api/kinds/rbac/resources.ts';
import type { PolicyRule, Role, RoleRef, Subject } from 'kubernetes-types/rbac/v1.js';
import { keyOf } from '../../cache/key.ts';
import type { WatchCache } from '../../cache/watch-cache.ts';
import { type Attributes, type Authorizer, permits, type Rules } from '../authorizer.ts';
import type { UserInfo } from '../user.ts';
import { toRules } from './rules.ts';
import { type Named, SubjectIndex } from './subject-index.ts';

export class RbacAuthorizer implements Authorizer {
  readonly #cache: WatchCache;
  readonly #index: SubjectIndex;
  /** Roles are shared and frozen, so what was made of one stays true of it. */
  readonly #rules = new WeakMap<object, Rules>();

  constructor(cache: WatchCache) {
    this.#cache = cache;
    this.#index = new SubjectIndex(cache);
  }

  async authorize(attributes: Attributes): Promise<{ allowed: boolean; reason?: string }> {
    const namespace = attributes.path === undefined ? (attributes as { namespace: string }).namespace : '';
    const missing = new Set<string>();
    for (const named of this.#named(attributes.user, namespace)) {
      const role = this.#roleOf(named);
      if (!role) missing.add(notFoundText(named.binding.roleRef));
      else if (permits(this.#rulesOf(role), attributes)) {
        return { allowed: true, reason: `RBAC: allowed by ${describe(named)}` };
      }
    }
    return { allowed: false, ...(missing.size > 0 ? { reason: `RBAC: ${listed([...missing])}` } : {}) };
  }

  async rulesFor(user: UserInfo, namespace: string): Promise<Rules> {
    return toRules(this.heldBy(user, namespace));
  }

  /** Every rule the user has in the namespace (''  : everywhere). */
  heldBy(user: UserInfo, namespace: string): PolicyRule[] {
    return [...this.#named(user, namespace)].flatMap((named) => this.#roleOf(named)?.rules ?? []);
  }

  /** What a roleRef of a binding in `namespace` stands for; undefined where there is no such role. */
  rulesOfRef(roleRef: RoleRef, namespace: string): PolicyRule[] | undefined {
    const role = this.#role(roleRef, namespace);
    return role && (role.rules ?? []);
  }

  *#named(user: UserInfo, namespace: string): Iterable<Named> {
    yield* this.#index.of(user, '');
    if (namespace) yield* this.#index.of(user, namespace);
  }

  #roleOf({ binding }: Named): Role | undefined {
    return this.#role(binding.roleRef, binding.metadata?.namespace ?? '');
  }

  #role({ kind, name }: RoleRef, namespace: string): Role | undefined {
    const ref: ResourceRef = kind === 'Role' ? rbacResources.roles : rbacResources.clusterroles;
    const key = keyOf(ref, name, ref.namespaced ? namespace : undefined);
    return this.#cache.kind(ref).get(key)?.object as Role | undefined;
  }

  #rulesOf(role: Role): Rules {
    const known = this.#rules.get(role);
    if (known) return known;
    const rules = toRules(role.rules ?? []);
    this.#rules.set(role, rules);
    return rules;
  }
}

function describe({ binding, subject }: Named): string {
  const { name, namespace } = binding.metadata ?? {};
  const where = namespace ? `RoleBinding "${name}/${namespace}"` : `ClusterRoleBinding "${name}"`;
  const { kind, name: role } = binding.roleRef;
  return `${where} of ${kind} "${role}" to ${describeSubject(subject, namespace)}`;
}

function describeSubject({ kind, name, namespace }: Subject, ofBinding = ''): string {
  return kind === 'ServiceAccount' ? `ServiceAccount "${name}/${namespace || ofBinding}"` : `${kind} "${name}"`;
}

function notFoundText({ kind, name }: RoleRef): string {
  return `${kind.toLowerCase()}.rbac.authorization.k8s.io "${name}" not found`;
}

const listed = (texts: string[]): string => (texts.length === 1 ? `${texts[0]}` : `[${texts.join(', ')}]`);
