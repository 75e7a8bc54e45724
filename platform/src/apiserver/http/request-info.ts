/**
 * What a URL and method mean, as apiserver/pkg/endpoints/request RequestInfo reads them. Pure: it knows no kinds and no users.
 */
import { badRequest } from '../meta/failures.ts';

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection' | 'unknown';

export interface ResourceRequest {
  verb: Verb;
  group: string;
  version: string;
  resource: string;
  subresource: string;
  /** What follows the subresource, for proxies: '' or 'a/b'. */
  rest: string;
  /** undefined: cluster-scoped or all namespaces. */
  namespace: string | undefined;
  /** '' for a collection. */
  name: string;
}

/** Undefined when the path is not a resource's: discovery, health and the like. Throws BadRequest for broken escapes. */
export function resourceRequestOf(method: string, path: string, query: URLSearchParams): ResourceRequest | undefined {
  const parts = path.split('/').slice(1).map(decodeSegment);
  if (parts.at(-1) === '') parts.pop();
  const core = parts[0] === 'api' && parts.length >= 3;
  const grouped = parts[0] === 'apis' && parts.length >= 4;
  if (!core && !grouped) return undefined;
  const group = core ? '' : (parts[1] as string);
  const version = (core ? parts[1] : parts[2]) as string;
  let rest = parts.slice(core ? 2 : 3);
  let namespace: string | undefined;
  const legacyWatch = rest[0] === 'watch' && rest.length > 1;
  if (legacyWatch) rest = rest.slice(1);
  // /namespaces/x is the namespace itself; /namespaces/x/finalize and /status are its subresources; anything else is within it.
  if (rest[0] === 'namespaces' && rest.length > 2 && !['status', 'finalize'].includes(rest[2] as string)) {
    namespace = rest[1];
    rest = rest.slice(2);
  }
  const [resource = '', name = '', subresource = '', ...more] = rest;
  const watching = legacyWatch || isTrue(query.get('watch'));
  const verb = verbOf(method, name, watching && (legacyWatch || !subresource));
  if (legacyWatch && name) query.set('fieldSelector', `metadata.name=${name}`);
  return { verb, group, version, resource, subresource, rest: more.join('/'), namespace, name };
}

function verbOf(method: string, name: string, watching: boolean): Verb {
  switch (method) {
    case 'GET':
    case 'HEAD':
      if (watching) return 'watch';
      return name ? 'get' : 'list';
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return 'patch';
    case 'DELETE':
      return name ? 'delete' : 'deletecollection';
    default:
      return 'unknown';
  }
}

export function isTrue(value: string | null): boolean {
  return value !== null && value !== 'false' && value !== '0';
}

function decodeSegment(segment: string): string {
  let decoded: string;
  try {
    decoded = decodeURIComponent(segment);
  } catch {
    throw badRequest(`invalid escape in path segment "${segment}"`);
  }
  if (decoded.includes('/') || decoded === '.' || decoded === '..' || decoded.includes('\0')) {
    throw badRequest(`invalid path segment "${segment}"`);
  }
  return decoded;
}
