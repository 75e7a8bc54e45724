/**
 * Which bindings name a user: by subject and namespace, kept as bindings change. It owns the index; what a binding gives is the
 * authorizer's question.
 */
import { rbacResources } from '@sampan/api/kinds/rbac/resources.ts';
import type { ClusterRoleBinding, RoleBinding, Subject } from 'kubernetes-types/rbac/v1.js';
import { prefixOf } from '../../cache/key.ts';
import type { KindCache } from '../../cache/kind-cache.ts';
import type { WatchCache } from '../../cache/watch-cache.ts';
import type { UserInfo } from '../user.ts';

export type AnyBinding = ClusterRoleBinding | RoleBinding;

export interface Named {
  binding: AnyBinding;
  subject: Subject;
}

export class SubjectIndex {
  readonly #cache: WatchCache;
  /** Namespace ('' of ClusterRoleBindings) and subject to bindings by name. Absent: to be built at the next question. */
  #bindings: Map<string, Map<string, Named>> | undefined;
  #unsubscribe: (() => void)[] = [];

  constructor(cache: WatchCache) {
    this.#cache = cache;
  }

  /** Bindings of everything (`namespace` '') or of one namespace that name the user or a group of his. */
  *of(user: UserInfo, namespace: string): Iterable<Named> {
    this.#bindings ??= this.#build();
    const subjects = [`User:${user.name}`, ...user.groups.map((group) => `Group:${group}`)];
    const seen = new Set<AnyBinding>();
    for (const subject of subjects) {
      for (const named of this.#bindings.get(`${namespace}/${subject}`)?.values() ?? []) {
        if (!seen.has(named.binding)) yield named;
        seen.add(named.binding);
      }
    }
  }

  #build(): Map<string, Map<string, Named>> {
    const bindings = new Map<string, Map<string, Named>>();
    for (const ref of [rbacResources.clusterrolebindings, rbacResources.rolebindings]) {
      const kind = this.#cache.kind(ref);
      for (const { object } of kind.range(prefixOf(ref))) place(bindings, object as unknown as AnyBinding, 'set');
      this.#follow(kind, bindings);
    }
    return bindings;
  }

  #follow(kind: KindCache, bindings: Map<string, Map<string, Named>>): void {
    const unsubscribe = kind.subscribe(this.#cache.revision, {
      change({ previous, object, deleted }) {
        if (previous) place(bindings, previous as unknown as AnyBinding, 'remove');
        if (!deleted) place(bindings, object as unknown as AnyBinding, 'set');
      },
      // The cache was rebuilt: so is this, at the next question.
      end: () => {
        for (const stop of this.#unsubscribe) stop();
        this.#unsubscribe = [];
        this.#bindings = undefined;
      },
    });
    this.#unsubscribe.push(unsubscribe);
  }
}

function place(bindings: Map<string, Map<string, Named>>, binding: AnyBinding, change: 'set' | 'remove'): void {
  const { namespace = '', name = '' } = binding.metadata ?? {};
  for (const subject of binding.subjects ?? []) {
    const key = `${namespace}/${userOf(subject, namespace)}`;
    const held = bindings.get(key) ?? new Map<string, Named>();
    if (change === 'set') held.set(name, { binding, subject });
    else held.delete(name);
    if (held.size > 0) bindings.set(key, held);
    else bindings.delete(key);
  }
}

/** A service account is a user of a name of its own; without a namespace it is of the binding's. */
function userOf({ kind, name, namespace }: Subject, ofBinding: string): string {
  return kind === 'ServiceAccount' ? `User:system:serviceaccount:${namespace || ofBinding}:${name}` : `${kind}:${name}`;
}
