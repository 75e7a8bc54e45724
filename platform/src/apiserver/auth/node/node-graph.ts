/**
 * What a node has to do with an object: a Pod is on it, or one of its Pods refers to it (plugin/pkg/auth/authorizer/node/graph.go). Read from the
 * watch cache, so a reference counts a moment after it was stored.
 */
import { resources } from '@sampan/api/client.ts';
import { referencesOf } from '@sampan/api/kinds/pod/references.ts';
import type { Pod } from 'kubernetes-types/core/v1.js';
import { keyOf, prefixOf } from '../../cache/key.ts';
import type { WatchCache } from '../../cache/watch-cache.ts';

export type Referred = 'ConfigMap' | 'Secret' | 'ServiceAccount';

export class NodeGraph {
  readonly #cache: WatchCache;
  /** Pods in the cache are frozen: what was read out of one stays true of it. */
  readonly #references = new WeakMap<Pod, Set<string>>();

  constructor(cache: WatchCache) {
    this.#cache = cache;
  }

  hasPod(nodeName: string, namespace: string, name: string): boolean {
    const found = this.#cache.kind(resources.pods).get(keyOf(resources.pods, name, namespace));
    return (found?.object as Pod | undefined)?.spec?.nodeName === nodeName;
  }

  /** One of the node's Pods in the namespace refers to it. */
  refers(nodeName: string, kind: Referred, namespace: string, name: string): boolean {
    if (!namespace || !name) return false;
    for (const { object } of this.#cache.kind(resources.pods).range(prefixOf(resources.pods, namespace))) {
      const pod = object as Pod;
      if (pod.spec?.nodeName === nodeName && this.#referencesOf(pod).has(`${kind}/${name}`)) return true;
    }
    return false;
  }

  #referencesOf(pod: Pod): Set<string> {
    let found = this.#references.get(pod);
    if (!found) {
      found = new Set(referencesOf(pod).map(({ kind, name }) => `${kind}/${name}`));
      if (pod.spec?.serviceAccountName) found.add(`ServiceAccount/${pod.spec.serviceAccountName}`);
      this.#references.set(pod, found);
    }
    return found;
  }
}
