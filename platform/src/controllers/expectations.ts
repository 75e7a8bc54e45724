/**
 * What a controller's own writes have to have done to its copy before it may decide again: without it, a copy that is behind would have
 * a controller make the same Pod twice. Every write tells its resourceVersion; the key waits until the informer has seen it.
 */
import type { KubeObject } from '@sampan/api/client.ts';

/**
 * How soon a key that waits is looked at again when no event brings it: a Pod that came and went while a watch was broken brings none.
 */
export const recheckMs = 1000;

export class Expectations {
  readonly #awaited = new Map<string, number>();

  /** `written` is what the API answered to a create, update or delete. */
  expect(key: string, written: KubeObject): void {
    const version = Number(written.metadata?.resourceVersion) || 0;
    this.#awaited.set(key, Math.max(version, this.#awaited.get(key) ?? 0));
  }

  /** `seen` is how far the informer of the written kind is. */
  isSatisfied(key: string, seen: number): boolean {
    const awaited = this.#awaited.get(key);
    if (awaited === undefined) return true;
    if (seen < awaited) return false;
    this.#awaited.delete(key);
    return true;
  }

  forget(key: string): void {
    this.#awaited.delete(key);
  }
}
