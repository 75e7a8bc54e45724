/** The paths of an OpenAPI document: what can be asked of each kind, of its subresources, and of what can only be posted. */
import type { Kind } from '../kind.ts';
import { componentName, type GroupVersionKind } from './open-api-components.ts';
import { type Action, operation, type Subject, upperFirst } from './open-api-operation.ts';
import { deleteParameters, inPath, listParameters, patchParameters, writeParameters } from './open-api-parameters.ts';
import { typeNameOf } from './schema.ts';

const patchTypes = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/apply-patch+yaml',
];

/** A strategic merge patch needs a type that says how lists merge: custom kinds have none, and clients look here before they send one. */
function patchTypesOf({ openApiSchema }: Kind): string[] {
  return openApiSchema ? patchTypes.filter((type) => !type.includes('strategic')) : patchTypes;
}

/** What is posted and answered without being kept: reviews, bindings, evictions, tokens. */
export interface Posted {
  /** Where: `pods` and `eviction`, or `tokenreviews` and ''. */
  group: string;
  version: string;
  resource: string;
  subresource: string;
  namespaced: boolean;
  /** What. */
  kind: GroupVersionKind;
}

/** What the scale subresource of every kind shows. */
export const scaleShown: GroupVersionKind = { group: 'autoscaling', version: 'v1', kind: 'Scale' };

const componentOfKind = ({ group, version, kind }: GroupVersionKind): string =>
  componentName(typeNameOf(group, version, kind));

type Paths = Record<string, object>;

/** Path to its operations; `component` is the kind's schema. */
export function operationsOf(kind: Kind, component: string): Paths {
  const { group, version, resource, namespaced } = kind.ref;
  const { base, scope } = placeOf(kind.ref);
  const gvk = { group, version, kind: kind.kind };
  const scoped = namespaced ? `Namespaced${kind.kind}` : kind.kind;
  const subject = { group, version, gvk, component, patchTypes: patchTypesOf(kind), name: scoped };
  const named = [inPath('name', `name of the ${kind.kind}`), ...scope];
  const paths: Paths = {
    [base]: {
      get: operation(subject, 'list', listParameters),
      post: operation(subject, 'post', writeParameters),
      ...(!kind.singleDeletes && {
        delete: operation(subject, 'deletecollection', [...deleteParameters, ...listParameters]),
      }),
      parameters: scope,
    },
    [`${base}/{name}`]: {
      ...viewOf(subject),
      delete: operation(subject, 'delete', deleteParameters),
      parameters: named,
    },
  };
  for (const view of kind.subresources) {
    const shown = view === 'scale' ? { gvk: scaleShown, component: componentOfKind(scaleShown) } : {};
    const of = { ...subject, ...shown, name: scoped + upperFirst(view) };
    paths[`${base}/{name}/${view}`] =
      view === 'finalize'
        ? { put: operation(of, 'put', writeParameters), parameters: named }
        : { ...viewOf(of), parameters: named };
  }
  if (namespaced) {
    const everywhere = { ...subject, name: `${kind.kind}ForAllNamespaces` };
    paths[`${rootOf(kind.ref)}/${resource}`] = { get: operation(everywhere, 'list', listParameters) };
  }
  return paths;
}

/** Read, replaced and patched under its name. */
function viewOf(subject: Subject): { [method in Action]?: object } {
  return {
    get: operation(subject, 'get'),
    put: operation(subject, 'put', writeParameters),
    patch: operation(subject, 'patch', patchParameters),
  };
}

/** Of something that is posted, to a collection or to a subresource of an object. */
export function operationsOfPosted(posted: Posted, owner: string): Paths {
  const { group, version, subresource, namespaced, kind: gvk } = posted;
  const { base, scope } = placeOf(posted);
  const what = subresource ? `${owner}${upperFirst(subresource)}` : gvk.kind;
  const name = `${namespaced ? 'Namespaced' : ''}${what}`;
  const subject = { group, version, gvk, component: componentOfKind(gvk), patchTypes: [], name };
  const parameters = subresource ? [inPath('name', `name of the ${owner}`), ...scope] : scope;
  const path = subresource ? `${base}/{name}/${subresource}` : base;
  return { [path]: { post: operation(subject, 'post', writeParameters), parameters } };
}

type Place = Pick<Posted, 'group' | 'version' | 'resource' | 'namespaced'>;

const rootOf = ({ group, version }: Pick<Place, 'group' | 'version'>) =>
  group ? `/apis/${group}/${version}` : `/api/${version}`;

function placeOf(place: Place): { base: string; scope: object[] } {
  const root = rootOf(place);
  return place.namespaced
    ? { base: `${root}/namespaces/{namespace}/${place.resource}`, scope: [inPath('namespace', 'the namespace')] }
    : { base: `${root}/${place.resource}`, scope: [] };
}
