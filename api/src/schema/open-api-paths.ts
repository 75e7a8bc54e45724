/** The paths of an OpenAPI document: the operations on each kind, with the parameters clients look for. */
import type { Kind } from '../kind.ts';
import { reference } from './open-api-components.ts';

interface Operation {
  description: string;
  operationId: string;
  tags: string[];
  parameters: object[];
  requestBody?: object;
  responses: Record<string, object>;
  'x-kubernetes-action': string;
  'x-kubernetes-group-version-kind': object;
}

const query = (name: string, description: string, type = 'string') => ({
  name,
  in: 'query',
  description,
  schema: { type, uniqueItems: true },
});

const inPath = (name: string, description: string) => ({
  name,
  in: 'path',
  required: true,
  description,
  schema: { type: 'string', uniqueItems: true },
});

const writeParameters = [
  query('dryRun', 'With All, the request is answered as if it had been done, and nothing is stored.'),
  query('fieldManager', 'Who makes the change.'),
  query(
    'fieldValidation',
    'What becomes of unknown fields: Ignore drops them, Warn drops them and says so, Strict refuses the request.',
  ),
];

const listParameters = [
  query('labelSelector', 'Only objects whose labels match.'),
  query('fieldSelector', 'Only objects whose fields match.'),
  query('limit', 'The most objects one answer holds.', 'integer'),
  query('continue', 'Where a longer list goes on.'),
  query('resourceVersion', 'How fresh the answer has to be.'),
  query('resourceVersionMatch', 'How resourceVersion is meant.'),
  query('sendInitialEvents', 'Whether a watch begins with what is there.', 'boolean'),
  query('timeoutSeconds', 'How long a watch lasts.', 'integer'),
  query('watch', 'Follow changes instead of listing.', 'boolean'),
];

const deleteParameters = [
  query('dryRun', 'With All, nothing is deleted.'),
  query('gracePeriodSeconds', 'Seconds until the end; 0: at once.', 'integer'),
  query('propagationPolicy', 'What becomes of dependents.'),
];

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

/** Path to its operations; `component` is the kind's schema. */
export function operationsOf(kind: Kind, component: string): Record<string, object> {
  const { group, version, resource, namespaced } = kind.ref;
  const root = group ? `/apis/${group}/${version}` : `/api/${version}`;
  const base = namespaced ? `${root}/namespaces/{namespace}/${resource}` : `${root}/${resource}`;
  const name = inPath('name', `name of the ${kind.kind}`);
  const scope = namespaced ? [inPath('namespace', 'the namespace')] : [];
  const make = maker(kind, component);
  const paths: Record<string, object> = {
    [base]: {
      get: make('list', listParameters, 'List'),
      post: make('post', writeParameters),
      delete: make('deletecollection', [...deleteParameters, ...listParameters]),
      parameters: scope,
    },
    [`${base}/{name}`]: {
      get: make('get', []),
      put: make('put', writeParameters),
      patch: make('patch', [
        ...writeParameters,
        query('force', 'With apply: take fields over from other managers.', 'boolean'),
      ]),
      delete: make('delete', deleteParameters),
      parameters: [name, ...scope],
    },
  };
  if (namespaced) paths[`${root}/${resource}`] = { get: make('list', listParameters, 'List', 'ForAllNamespaces') };
  return paths;
}

function maker(kind: Kind, component: string) {
  const { group, version } = kind.ref;
  const label = `${group ? group.split('.')[0] : 'core'}_${version}`;
  const gvk = { group, version, kind: kind.kind };
  return (action: string, parameters: object[], suffix = '', idSuffix = ''): Operation => {
    const schema = reference(`${component}${suffix}`);
    const types = action === 'patch' ? patchTypesOf(kind) : ['application/json'];
    const hasBody = ['post', 'put', 'patch'].includes(action);
    return {
      description: `${action} ${kind.kind}`,
      operationId: `${action}_${label}_${kind.kind}${idSuffix}`,
      tags: [label],
      parameters,
      ...(hasBody && {
        requestBody: {
          required: true,
          content: Object.fromEntries(types.map((type) => [type, { schema: action === 'patch' ? {} : schema }])),
        },
      }),
      responses: { '200': { description: 'OK', content: { 'application/json': { schema } } } },
      'x-kubernetes-action': action,
      'x-kubernetes-group-version-kind': gvk,
    };
  };
}
