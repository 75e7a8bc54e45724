/**
 * managedFields in little room. The store keeps each set of fields as one text, and objects of one make, such as a ReplicaSet's Pods, have equal
 * ones: those share one frozen tree in memory, and reading and writing them costs no more than looking the text up. Sets beyond the bounds are
 * parsed anew, and only their leaves are shared.
 */
import { type FieldSet, leaf } from '@sampan/api/apply/field-set.ts';

/** Trees that are remembered, the least lately used going first. */
const maxSets = 1000;
/** Larger ones are few, and seldom alike. */
const maxTextLength = 8192;

export class FieldSetPool {
  readonly #sets = new Map<string, FieldSet>();
  readonly #texts = new WeakMap<FieldSet, string>();

  text(set: FieldSet): string {
    return this.#texts.get(set) ?? JSON.stringify(set);
  }

  /** Frozen. Throws SyntaxError for a text that is no JSON. */
  set(text: string): FieldSet {
    let set = this.#sets.get(text);
    if (set) this.#sets.delete(text);
    else set = compact(JSON.parse(text));
    if (text.length > maxTextLength) return set;
    this.#sets.set(text, set);
    this.#texts.set(set, text);
    if (this.#sets.size > maxSets) this.#dropOldest();
    return set;
  }

  #dropOldest(): void {
    for (const [text, set] of this.#sets) {
      this.#sets.delete(text);
      // Its objects may live on: they need not hold the text as well.
      this.#texts.delete(set);
      return;
    }
  }
}

/** In place: the same tree with one leaf for all, frozen. */
export function compact(set: Record<string, FieldSet>): FieldSet {
  const names = Object.keys(set);
  if (names.length === 0) return leaf;
  for (const name of names) set[name] = compact(set[name] as Record<string, FieldSet>);
  return Object.freeze(set);
}
