/** Who owns whom over all kinds: the shared informers asked together. Owns which kinds take part. */
import type { KubeObject, ResourceRef } from '@sampan/api/client.ts';
import type { Change, SharedInformer } from '../informer/shared-informer.ts';
import type { SharedInformers } from '../informer/shared-informers.ts';
import type { OwnerReference } from '../pods/controller-ref.ts';

export interface GarbageKind {
  ref: ResourceRef;
  kind: string;
}

/** One object and where its kind stands. */
export interface GraphNode {
  ref: ResourceRef;
  object: KubeObject;
}

interface Member extends GarbageKind {
  informer: SharedInformer<KubeObject>;
  unsubscribe: () => void;
}

export class KindGraph {
  readonly #informers: SharedInformers;
  readonly #onChange: (member: GarbageKind, change: Change<KubeObject>) => void;
  /** By group and kind: an owner reference names a version, and any version is the same object. */
  readonly #members = new Map<string, Member>();

  constructor(informers: SharedInformers, onChange: (member: GarbageKind, change: Change<KubeObject>) => void) {
    this.#informers = informers;
    this.#onChange = onChange;
  }

  /** From now on these kinds and no others. Resolves when the new ones are known. */
  async setKinds(kinds: readonly GarbageKind[]): Promise<void> {
    const wanted = new Map(kinds.map((kind) => [keyOf(kind.ref.group, kind.kind), kind]));
    for (const [key, member] of this.#members) {
      if (wanted.has(key)) continue;
      member.unsubscribe();
      this.#members.delete(key);
    }
    await Promise.all(
      [...wanted].filter(([key]) => !this.#members.has(key)).map(([key, kind]) => this.#add(key, kind)),
    );
  }

  get(ref: ResourceRef, name: string, namespace: string): KubeObject | undefined {
    return this.#informers.of(ref).get(name, namespace);
  }

  /** The kind a reference names; undefined for one that is not served. */
  kindOf({ apiVersion, kind }: Pick<OwnerReference, 'apiVersion' | 'kind'>): GarbageKind | undefined {
    const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
    return this.#members.get(keyOf(group, kind));
  }

  byUid({ ref }: GarbageKind, uid: string): KubeObject | undefined {
    return this.#informers.of(ref).byUid(uid);
  }

  dependents(owner: KubeObject): GraphNode[] {
    const uid = owner.metadata?.uid ?? '';
    return [...this.#members.values()].flatMap(({ ref, informer }) =>
      informer.ownedBy(uid).map((object) => ({ ref, object })),
    );
  }

  /** Everything that has an owner. */
  *owned(): Iterable<GraphNode> {
    for (const { ref, informer } of this.#members.values()) {
      for (const object of informer.list()) if (object.metadata?.ownerReferences?.length) yield { ref, object };
    }
  }

  async #add(key: string, kind: GarbageKind): Promise<void> {
    const informer = this.#informers.of<KubeObject>(kind.ref);
    const unsubscribe = informer.subscribe((change) => this.#onChange(kind, change));
    this.#members.set(key, { ...kind, informer, unsubscribe });
    await informer.start();
  }
}

const keyOf = (group: string, kind: string): string => `${group}/${kind}`;
