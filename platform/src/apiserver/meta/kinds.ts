/** The kinds this server serves, found by where they stand in a URL or by what an object calls itself. */
import type { KubeObject, ResourceRef } from '@sampan/api/client.ts';
import type { Kind } from '@sampan/api/kind.ts';
import { unknownPath } from './failures.ts';

export class KindTable {
  readonly #builtIn: readonly Kind[];
  /** By what they were made from: the name of a CustomResourceDefinition. */
  readonly #custom = new Map<string, readonly Kind[]>();
  readonly #byResource = new Map<string, Kind>();
  #all: readonly Kind[];
  #version = 0;

  constructor(kinds: readonly Kind[]) {
    this.#builtIn = kinds;
    this.#all = kinds;
    for (const kind of kinds) this.#byResource.set(placeOf(kind.ref), kind);
  }

  get all(): readonly Kind[] {
    return this.#all;
  }

  /** Those that are there from the start to the end. */
  get builtIn(): readonly Kind[] {
    return this.#builtIn;
  }

  /** Another number whenever `all` is another list: whoever derives something from it compares. */
  get version(): number {
    return this.#version;
  }

  /** The kinds that `owner` stands for from now on; none: it is gone. */
  setCustom(owner: string, kinds: readonly Kind[]): void {
    for (const kind of this.#custom.get(owner) ?? []) this.#byResource.delete(placeOf(kind.ref));
    if (kinds.length > 0) this.#custom.set(owner, kinds);
    else this.#custom.delete(owner);
    for (const kind of kinds) this.#byResource.set(placeOf(kind.ref), kind);
    this.#all = [...this.#builtIn, ...[...this.#custom.values()].flat()];
    this.#version += 1;
  }

  find(group: string, version: string, resource: string): Kind | undefined {
    return this.#byResource.get(placeOf({ group, version, resource }));
  }

  /** Throws NotFound for a resource this server does not have. */
  of(ref: ResourceRef): Kind {
    const kind = this.find(ref.group, ref.version, ref.resource);
    if (!kind) throw unknownPath();
    return kind;
  }
}

const placeOf = (ref: Pick<ResourceRef, 'group' | 'version' | 'resource'>) => `${apiVersionOf(ref)}/${ref.resource}`;

/** `v1` or `apps/v1`. */
export function apiVersionOf(ref: { group: string; version: string }): string {
  return ref.group ? `${ref.group}/${ref.version}` : ref.version;
}

/** Writes kind and apiVersion where the object leaves them out (list items do). */
export function stampType(kind: Kind, object: KubeObject): void {
  object.kind = kind.kind;
  object.apiVersion = apiVersionOf(kind.ref);
}
