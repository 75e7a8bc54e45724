/** What a value consists of in the eyes of server-side apply: its parts and the path elements that lead to them. */
import { getMember, isJsonObject, type JsonObject } from '../json.ts';
import { keyElement, valueElement } from './field-set.ts';
import type { Structure } from './structure.ts';

const free: Structure = { form: 'free' };
const whole: Structure = { form: 'whole' };

/** An object whose members have owners of their own. */
export function isSharedObject(structure: Structure, value: unknown): value is JsonObject {
  const { form } = structure;
  return (form === 'fields' || form === 'entries' || form === 'free') && isJsonObject(value);
}

/** A list whose elements have owners of their own. */
export function isSharedList(structure: Structure, value: unknown): value is unknown[] {
  return (structure.form === 'keyed' || structure.form === 'values') && Array.isArray(value);
}

/** Undefined names no member that the structure declares: what is there all the same is taken as it comes. */
export function declaredMember(structure: Structure, name: string): Structure | undefined {
  return structure.form === 'fields' ? structure.field(name) : undefined;
}

export function memberOf(structure: Structure, name: string): Structure {
  if (structure.form === 'fields') return structure.field(name) ?? free;
  return structure.form === 'entries' ? structure.of : free;
}

/** Undefined for an element that lacks its keys, or is no plain value where those are asked for. */
export function listElement(structure: Structure, item: unknown): string | undefined {
  if (structure.form === 'values') return typeof item === 'object' ? undefined : valueElement(item);
  if (structure.form !== 'keyed' || !isJsonObject(item)) return undefined;
  const keys: [string, unknown][] = [];
  for (const name of structure.keys) {
    const value = getMember(item, name) ?? structure.defaults[name];
    if (value === undefined || value === null) return undefined;
    keys.push([name, value]);
  }
  return keyElement(keys);
}

export interface Part {
  value: unknown;
  structure: Structure;
}

/**
 * A list's elements by the path element that leads to each, in order. Several with the same keys are one part that is taken as a whole.
 * Undefined when an element has no keys: then the list is one value.
 */
export function listParts(structure: Structure, list: unknown[]): Map<string, Part> | undefined {
  const of = structure.form === 'keyed' ? structure.of : whole;
  const parts = new Map<string, Part>();
  for (const item of list) {
    const element = listElement(structure, item);
    if (element === undefined) return undefined;
    const same = parts.get(element);
    parts.set(element, same ? { value: [same.value, item], structure: whole } : { value: item, structure: of });
  }
  return parts;
}
