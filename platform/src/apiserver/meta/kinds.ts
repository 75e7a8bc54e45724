/** The kinds this server serves, found by where they stand in a URL or by what an object calls itself. */
import type { KubeObject, ResourceRef } from '@sampan/api/client.ts';
import type { Kind } from '@sampan/api/kind.ts';
import { unknownPath } from './failures.ts';

export class KindTable {
  readonly all: readonly Kind[];
  readonly #byResource = new Map<string, Kind>();

  constructor(kinds: readonly Kind[]) {
    this.all = kinds;
    for (const kind of kinds) this.#byResource.set(`${apiVersionOf(kind.ref)}/${kind.ref.resource}`, kind);
  }

  find(group: string, version: string, resource: string): Kind | undefined {
    return this.#byResource.get(`${apiVersionOf({ group, version })}/${resource}`);
  }

  /** Throws NotFound for a resource this server does not have. */
  of(ref: ResourceRef): Kind {
    const kind = this.find(ref.group, ref.version, ref.resource);
    if (!kind) throw unknownPath();
    return kind;
  }

  /** Groups in the order they were first named, each with its versions. */
  groups(): Map<string, string[]> {
    const groups = new Map<string, string[]>();
    for (const { ref } of this.all) {
      const versions = groups.get(ref.group) ?? [];
      if (!versions.includes(ref.version)) versions.push(ref.version);
      groups.set(ref.group, versions);
    }
    return groups;
  }
}

/** `v1` or `apps/v1`. */
export function apiVersionOf(ref: { group: string; version: string }): string {
  return ref.group ? `${ref.group}/${ref.version}` : ref.version;
}

/** Writes kind and apiVersion where the object leaves them out (list items do). */
export function stampType(kind: Kind, object: KubeObject): void {
  object.kind = kind.kind;
  object.apiVersion = apiVersionOf(kind.ref);
}
