/**
 * The order of a merged list: elements the patch speaks of stand as the patch says, the others keep their places among them as well as can be.
 * Elements are compared by their keys, which `keyOf` reads.
 */
import { equalJson } from '../json.ts';

export type KeyOf = (item: unknown) => unknown;

/**
 * `order` holds the keys of the elements the patch speaks of; `before` is the list as it was. An element the list did not have comes in at once,
 * so that without further orders new elements stand in front.
 */
export function inPatchOrder(merged: unknown[], order: unknown[], before: unknown[], keyOf: KeyOf): unknown[] {
  const place = (item: unknown) => indexOfKey(order, keyOf(item));
  const patched = merged.filter((item) => place(item) >= 0).sort((a, b) => place(a) - place(b));
  const others = merged.filter((item) => place(item) < 0);
  const keysBefore = before.map(keyOf);
  const placeBefore = (item: unknown) => indexOfKey(keysBefore, keyOf(item));
  const result: unknown[] = [];
  let next = 0;
  for (const item of patched) {
    const at = placeBefore(item);
    while (at >= 0 && next < others.length && isBetween(placeBefore(others[next]), at)) result.push(others[next++]);
    result.push(item);
  }
  return [...result, ...others.slice(next)];
}

const isBetween = (place: number, end: number) => place >= 0 && place < end;

function indexOfKey(keys: unknown[], key: unknown): number {
  return keys.findIndex((other) => equalJson(other, key));
}
