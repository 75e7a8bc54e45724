/**
 * ConfigMaps and Secrets that Pods of this node refer to: read fresh whenever asked, watched one by one for changes.
 * A node has no need to see any other.
 */
import { type KubeClient, type KubeObject, type ResourceRef, resources } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import { type ObjectKey, referencesOf } from '@sampan/api/kinds/pod/references.ts';
import type { ConfigMap, Pod, Secret, Service } from 'kubernetes-types/core/v1.js';
import type { Clock } from '../../base/clock.ts';
import { Informer } from '../../base/informer.ts';
import type { Logger } from '../../base/log.ts';
import type { ObjectSource } from '../../volumes/sources.ts';

interface Watched {
  informer: Informer<KubeObject>;
  pods: Set<string>;
}

export class ReferencedObjects implements ObjectSource {
  readonly #client: KubeClient;
  readonly #options: { clock: Clock; log: Logger };
  readonly #onChange: (podUid: string) => void;
  readonly #watched = new Map<string, Watched>();

  /** `onChange` is told the uid of each Pod that refers to an object that may have changed. */
  constructor(options: { client: KubeClient; clock: Clock; log: Logger; onChange: (podUid: string) => void }) {
    this.#client = options.client;
    this.#options = options;
    this.#onChange = options.onChange;
  }

  configMap(namespace: string, name: string): Promise<ConfigMap | undefined> {
    return this.#get<ConfigMap>(resources.configmaps, namespace, name);
  }

  secret(namespace: string, name: string): Promise<Secret | undefined> {
    return this.#get<Secret>(resources.secrets, namespace, name);
  }

  /** All of a namespace; none where the API does not show them to this node. */
  async services(namespace: string): Promise<Service[]> {
    try {
      return (await this.#client.list<Service & KubeObject>(resources.services, { namespace })).items;
    } catch (error) {
      if (isReason(error, 'NotFound', 'Forbidden')) return [];
      throw error;
    }
  }

  /** Watches what the Pod refers to, until release. Idempotent. */
  retain(pod: Pod): void {
    const uid = pod.metadata?.uid ?? '';
    for (const key of referencesOf(pod)) {
      const id = JSON.stringify(key);
      const watched = this.#watched.get(id) ?? this.#watch(id, key);
      watched.pods.add(uid);
    }
  }

  release(podUid: string): void {
    for (const [id, watched] of this.#watched) {
      if (!watched.pods.delete(podUid) || watched.pods.size > 0) continue;
      this.#watched.delete(id);
      void watched.informer.close();
    }
  }

  async close(): Promise<void> {
    const all = [...this.#watched.values()];
    this.#watched.clear();
    await Promise.all(all.map(({ informer }) => informer.close()));
  }

  #watch(id: string, key: ObjectKey): Watched {
    const pods = new Set<string>();
    const informer = new Informer<KubeObject>({
      ...this.#options,
      client: this.#client,
      ref: key.kind === 'Secret' ? resources.secrets : resources.configmaps,
      select: { namespace: key.namespace, fieldSelector: `metadata.name=${key.name}` },
      onChange: () => {
        for (const uid of pods) this.#onChange(uid);
      },
    });
    const watched = { informer, pods };
    this.#watched.set(id, watched);
    void informer.start();
    return watched;
  }

  async #get<T extends KubeObject>(ref: ResourceRef, namespace: string, name: string): Promise<T | undefined> {
    try {
      return await this.#client.get<T>(ref, name, namespace);
    } catch (error) {
      if (isReason(error, 'NotFound')) return undefined;
      throw error;
    }
  }
}
