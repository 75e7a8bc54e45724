/** One operation of an OpenAPI document, named as Kubernetes names it: generated clients have the methods of the official ones. */
import { type GroupVersionKind, reference } from './open-api-components.ts';

/** What an operation is on. */
export interface Subject {
  /** Where it is served. */
  group: string;
  version: string;
  /** As operations name it: `NamespacedPod`, `NamespacedPodStatus`. */
  name: string;
  /** What goes over the wire, and the component that describes it. */
  gvk: GroupVersionKind;
  component: string;
  /** Of the media types a patch may have. */
  patchTypes: readonly string[];
}

export type Action = 'list' | 'get' | 'post' | 'put' | 'patch' | 'delete' | 'deletecollection';

const verbs: Record<Action, string> = {
  list: 'list',
  get: 'read',
  post: 'create',
  put: 'replace',
  patch: 'patch',
  delete: 'delete',
  deletecollection: 'delete',
};

export function operation(subject: Subject, action: Action, parameters: object[] = []): object {
  const { group, version, gvk, component, name } = subject;
  const words = wordsOf(group);
  const tag = `${lowerFirst(words)}_${version}`;
  const collection = action === 'deletecollection' ? 'Collection' : '';
  const schema = reference(action === 'list' ? `${component}List` : component);
  return {
    description: `${action} ${gvk.kind}`,
    operationId: `${verbs[action]}${words}${upperFirst(version)}${collection}${name}`,
    tags: [tag],
    parameters,
    ...bodyOf(subject, action),
    responses: { '200': { description: 'OK', content: { 'application/json': { schema } } } },
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': gvk,
  };
}

function bodyOf({ component, patchTypes }: Subject, action: Action): object {
  if (!['post', 'put', 'patch'].includes(action)) return {};
  const types = action === 'patch' ? patchTypes : ['application/json'];
  const schema = action === 'patch' ? {} : reference(component);
  return { requestBody: { required: true, content: Object.fromEntries(types.map((type) => [type, { schema }])) } };
}

/** `RbacAuthorization` of `rbac.authorization.k8s.io`. */
function wordsOf(group: string): string {
  const parts = (group || 'core').replace(/\.k8s\.io$/, '').split(/[.-]/);
  return parts.map(upperFirst).join('');
}

export const upperFirst = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);
const lowerFirst = (text: string) => text.slice(0, 1).toLowerCase() + text.slice(1);
