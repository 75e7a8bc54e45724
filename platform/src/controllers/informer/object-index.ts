/** Objects of one kind by name, uid, namespace and owner: every question a controller asks is a look-up, never a walk over everything. */
import type { KubeObject } from '@sampan/api/client.ts';

export class ObjectIndex<T extends KubeObject> {
  readonly #byName = new Map<string, T>();
  readonly #byUid = new Map<string, T>();
  readonly #byNamespace = new Map<string, Set<string>>();
  readonly #byOwner = new Map<string, Set<string>>();
  /** Namespace to the uids of those that no controller owns. */
  readonly #orphans = new Map<string, Set<string>>();

  get(name: string, namespace: string): T | undefined {
    return this.#byName.get(`${namespace}/${name}`);
  }

  byUid(uid: string): T | undefined {
    return this.#byUid.get(uid);
  }

  all(): IterableIterator<T> {
    return this.#byUid.values();
  }

  inNamespace(namespace: string): T[] {
    return this.#objects(this.#byNamespace, namespace);
  }

  ownedBy(uid: string): T[] {
    return this.#objects(this.#byOwner, uid);
  }

  orphans(namespace: string): T[] {
    return this.#objects(this.#orphans, namespace);
  }

  /** Returns what stood there under the same name before. */
  set(object: T): T | undefined {
    const previous = this.#byName.get(nameOf(object));
    if (previous) this.remove(previous);
    const uid = object.metadata?.uid ?? '';
    this.#byName.set(nameOf(object), object);
    this.#byUid.set(uid, object);
    for (const [map, key] of this.#places(object)) {
      const uids = map.get(key);
      if (uids) uids.add(uid);
      else map.set(key, new Set([uid]));
    }
    return previous;
  }

  /** Returns what was removed; a namesake with another uid stays. */
  remove(object: T): T | undefined {
    const uid = object.metadata?.uid ?? '';
    const held = this.#byUid.get(uid);
    if (!held) return undefined;
    this.#byUid.delete(uid);
    this.#byName.delete(nameOf(held));
    for (const [map, key] of this.#places(held)) {
      const uids = map.get(key);
      uids?.delete(uid);
      if (uids?.size === 0) map.delete(key);
    }
    return held;
  }

  #objects(map: Map<string, Set<string>>, key: string): T[] {
    return [...(map.get(key) ?? [])].map((uid) => this.#byUid.get(uid)!);
  }

  *#places(object: T): Iterable<[Map<string, Set<string>>, string]> {
    const { namespace = '', ownerReferences = [] } = object.metadata ?? {};
    yield [this.#byNamespace, namespace];
    if (!ownerReferences.some((owner) => owner.controller)) yield [this.#orphans, namespace];
    for (const owner of ownerReferences) yield [this.#byOwner, owner.uid];
  }
}

const nameOf = ({ metadata }: KubeObject): string => `${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`;
