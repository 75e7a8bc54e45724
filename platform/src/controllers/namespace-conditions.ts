/** What a terminating namespace says of its end (pkg/controller/namespace/deletion/status_condition_utils.go). Pure. */
import type { KubeObject, ResourceRef } from '@sampan/api/client.ts';
import type { NamespaceCondition } from 'kubernetes-types/core/v1.js';

/** What is left of one kind. */
export interface Remainder {
  ref: Pick<ResourceRef, 'group' | 'resource'>;
  items: readonly KubeObject[];
}

export interface Termination {
  remaining: readonly Remainder[];
  /** What went wrong when objects were to be deleted. */
  failures: readonly string[];
}

type Said = [type: string, isWrong: boolean, reason: string, message: string];

/** All five, in order; the time of one that says the same as `before` stays. */
export function terminationConditions(
  { remaining, failures }: Termination,
  before: readonly NamespaceCondition[],
  now: string,
): NamespaceCondition[] {
  return [
    [
      'NamespaceDeletionDiscoveryFailure',
      false,
      'ResourcesDiscovered',
      'All resources successfully discovered',
    ] as Said,
    [
      'NamespaceDeletionGroupVersionParsingFailure',
      false,
      'ParsedGroupVersions',
      'All legacy kube types successfully parsed',
    ] as Said,
    contentFailure(failures),
    contentRemaining(remaining),
    finalizersRemaining(remaining),
  ].map(([type, isWrong, reason, message]) => {
    const status = isWrong ? 'True' : 'False';
    const old = before.find((condition) => condition.type === type);
    const lastTransitionTime = old?.status === status ? (old.lastTransitionTime ?? now) : now;
    return { type, status, lastTransitionTime, reason, message };
  });
}

function contentFailure(failures: readonly string[]): Said {
  const type = 'NamespaceDeletionContentFailure';
  if (failures.length === 0)
    return [type, false, 'ContentDeleted', 'All content successfully deleted, may be waiting on finalization'];
  const message = `Failed to delete all resource types, ${failures.length} remaining: ${[...failures].sort().join(', ')}`;
  return [type, true, 'ContentDeletionFailed', message];
}

function contentRemaining(remaining: readonly Remainder[]): Said {
  const type = 'NamespaceContentRemaining';
  const left = remaining.filter(({ items }) => items.length > 0);
  if (left.length === 0) return [type, false, 'ContentRemoved', 'All content successfully removed'];
  const told = left.map(({ ref, items }) => `${ref.resource}.${ref.group} has ${items.length} resource instances`);
  return [type, true, 'SomeResourcesRemain', `Some resources are remaining: ${told.sort().join(', ')}`];
}

function finalizersRemaining(remaining: readonly Remainder[]): Said {
  const type = 'NamespaceFinalizersRemaining';
  const counts = new Map<string, number>();
  for (const { items } of remaining)
    for (const { metadata } of items)
      for (const name of metadata?.finalizers ?? []) counts.set(name, (counts.get(name) ?? 0) + 1);
  if (counts.size === 0) return [type, false, 'ContentHasNoFinalizers', 'All content-preserving finalizers finished'];
  const told = [...counts].map(([name, count]) => `${name} in ${count} resource instances`).sort();
  const message = `Some content in the namespace has finalizers remaining: ${told.join(', ')}`;
  return [type, true, 'SomeFinalizersRemain', message];
}
