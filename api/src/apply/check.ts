/** What an applied configuration may not hold beyond its kind's structure: list elements that cannot be told apart (no keys, or twice the same). */
import { elementText } from './field-set.ts';
import { isSharedList, isSharedObject, listElement, memberOf } from './parts.ts';
import type { Structure } from './structure.ts';

/** In structured-merge-diff's words, each with the path it is about. */
export function configurationProblems(structure: Structure, value: unknown, path = ''): string[] {
  if (isSharedObject(structure, value)) {
    return Object.entries(value).flatMap(([name, member]) =>
      configurationProblems(memberOf(structure, name), member, `${path}.${name}`),
    );
  }
  if (!isSharedList(structure, value)) return [];
  const seen = new Set<string>();
  return value.flatMap((item, index) => {
    const element = listElement(structure, item);
    if (element === undefined) return [`${path}: element ${index}: ${keylessText(structure, item)}`];
    if (seen.has(element)) return [`${path}: duplicate entries for key ${elementText(element)}`];
    seen.add(element);
    const of = structure.form === 'keyed' ? structure.of : structure;
    return configurationProblems(of, item, path + elementText(element));
  });
}

function keylessText(structure: Structure, item: unknown): string {
  if (structure.form !== 'keyed') return "associative list without keys has an element that's no plain value";
  if (typeof item !== 'object' || item === null) return 'associative list with keys may not have non-map elements';
  const lacking = structure.keys.find((key) => (item as Record<string, unknown>)[key] === undefined);
  return `associative list with keys has an element that omits key field ${JSON.stringify(lacking)} (and doesn't have default value)`;
}
