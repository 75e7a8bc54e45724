/** For tests of kinds: an object as the server would have it before validation, and what validation says. */
import type { KubeObject } from '../client.ts';
import type { Kind, Target } from '../kind.ts';

// biome-ignore lint/suspicious/noExplicitAny: objects are built and broken field by field
export type Loose = any;

export const said = (causes: { field?: string; message: string }[]) =>
  causes.map(({ field, message }) => `${field}: ${message}`);

export function admitted(kind: Kind, object: object): Loose {
  const metadata = { name: 'x', ...(kind.ref.namespaced && { namespace: 'default' }) };
  const whole: Loose = { metadata, ...structuredClone(object) };
  const { wrongTypes, unknownFields } = kind.checkStructure(whole);
  const wrong = [...wrongTypes, ...unknownFields];
  if (wrong.length > 0) throw new Error(`the object of the test is wrong: ${wrong.join(', ')}`);
  kind.applyDefaults(whole);
  kind.prepareCreate(whole);
  return whole;
}

export const created = (kind: Kind, object: object): string[] => said(kind.validateCreate(admitted(kind, object)));

export function updated(kind: Kind, old: KubeObject, change: (object: Loose) => void, target: Target = 'object') {
  const object: Loose = structuredClone(old);
  change(object);
  kind.applyDefaults(object);
  kind.prepareUpdate(object, old, target);
  return { object, problems: said(kind.validateUpdate(object, old, target)) };
}
