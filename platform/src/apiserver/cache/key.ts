/** Where objects stand in the store: /registry/<group or core>/<resource>/[<namespace>/]<name>. */
import type { ResourceRef } from '@sampan/api/client.ts';

export const registryRoot = '/registry/';

/** Kinds that stand in two groups and are the same objects, with the group they are stored under (AddCohabitatingResources). */
const cohabitants: Record<string, string> = { 'events.k8s.io/events': 'core' };

/** Objects are stored once whatever version they are read in, so the version is no part of it. */
export function prefixOf(ref: Pick<ResourceRef, 'group' | 'resource'>, namespace?: string): string {
  const group = cohabitants[`${ref.group}/${ref.resource}`] ?? (ref.group || 'core');
  const kind = `${registryRoot}${group}/${ref.resource}/`;
  return namespace ? `${kind}${namespace}/` : kind;
}

export function keyOf(ref: ResourceRef, name: string, namespace?: string): string {
  return `${prefixOf(ref, ref.namespaced ? namespace : undefined)}${name}`;
}

/** The part of a key that names the kind, `/registry/core/pods/`, or undefined where the key is not an object's. */
export function kindPrefixOf(key: string): string | undefined {
  if (!key.startsWith(registryRoot)) return undefined;
  const group = key.indexOf('/', registryRoot.length);
  const resource = key.indexOf('/', group + 1);
  return group < 0 || resource < 0 ? undefined : key.slice(0, resource + 1);
}
