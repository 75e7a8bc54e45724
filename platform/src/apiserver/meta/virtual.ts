/**
 * What can be read like a stored kind and is computed at each question instead: no writes, no watches, no versions.
 * Discovery, authorisation and both clients treat all of them alike.
 */
import type { KubeObject, ResourceRef } from '@sampan/api/client.ts';
import type { Kind } from '@sampan/api/kind.ts';
import type { VerbContext } from '../verbs/context.ts';

export interface VirtualSelection {
  /** Absent: all namespaces, or cluster-scoped. */
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
}

export interface VirtualKind
  extends Pick<Kind, 'ref' | 'kind' | 'singular' | 'shortNames' | 'categories' | 'columns' | 'row'> {
  /** Throws NotFound when there is none. */
  get(context: VerbContext, name: string, namespace: string | undefined): Promise<KubeObject>;
  /** Throws BadRequest for a selector that cannot be read. */
  list(context: VerbContext, selection: VirtualSelection): Promise<KubeObject[]>;
}

export function findVirtual(
  virtualKinds: readonly VirtualKind[],
  { group, version, resource }: Pick<ResourceRef, 'group' | 'version' | 'resource'>,
): VirtualKind | undefined {
  return virtualKinds.find(({ ref }) => ref.group === group && ref.version === version && ref.resource === resource);
}
