/**
 * Which names a CustomResourceDefinition gets: each name belongs to one kind of a group, and to whoever had it first (apiextensions-apiserver
 * pkg/controller/status naming_controller). Pure.
 */
import type { CustomResourceDefinition } from '@sampan/api/custom/definition-types.ts';
import type { Kind } from '@sampan/api/kind.ts';

type Names = NonNullable<NonNullable<CustomResourceDefinition['status']>['acceptedNames']>;

export interface NameDecision {
  acceptedNames: Names;
  /** Why not all were accepted. */
  refusal?: { reason: string; message: string };
}

/** `others` are the definitions that there are beside this one, `builtIn` the kinds that always are. */
export function decideNames(
  definition: CustomResourceDefinition,
  others: Iterable<CustomResourceDefinition>,
  builtIn: readonly Kind[],
): NameDecision {
  const { group, names: wanted } = definition.spec;
  const taken = takenIn(group, others, builtIn);
  const accepted: Names = { plural: '', kind: '', ...definition.status?.acceptedNames };
  let refusal: NameDecision['refusal'];
  const settle = <K extends keyof Names>(name: K, reason: string, set: Set<string>) => {
    const value = wanted[name];
    const clash = [value ?? []].flat().find((one) => set.has(one));
    if (clash === undefined) accepted[name] = value as Names[K];
    else refusal ??= { reason, message: `"${clash}" is already in use` };
  };
  settle('plural', 'PluralConflict', taken.resources);
  settle('singular', 'SingularConflict', taken.resources);
  settle('shortNames', 'ShortNamesConflict', taken.resources);
  settle('kind', 'KindConflict', taken.kinds);
  settle('listKind', 'ListKindConflict', taken.kinds);
  accepted.categories = wanted.categories;
  const acceptedNames = Object.fromEntries(Object.entries(accepted).filter(([, value]) => value !== undefined));
  return { acceptedNames: acceptedNames as unknown as Names, ...(refusal && { refusal }) };
}

function takenIn(group: string, others: Iterable<CustomResourceDefinition>, builtIn: readonly Kind[]) {
  const resources = new Set<string>();
  const kinds = new Set<string>();
  const take = (set: Set<string>, ...names: (string | undefined)[]) => {
    for (const name of names) if (name) set.add(name);
  };
  for (const { ref, kind, singular, shortNames } of builtIn) {
    if (ref.group !== group) continue;
    take(resources, ref.resource, singular, ...shortNames);
    take(kinds, kind, `${kind}List`);
  }
  for (const { spec, status } of others) {
    const names = status?.acceptedNames;
    if (spec.group !== group || !names) continue;
    take(resources, names.plural, names.singular, ...(names.shortNames ?? []));
    take(kinds, names.kind, names.listKind);
  }
  return { resources, kinds };
}
