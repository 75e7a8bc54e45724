/** What a list or watch asks for, out of a query string or an in-process call, checked as apimachinery checks it. */
import type { Cause } from '@sampan/api/errors.ts';
import { badRequest, invalid } from '../meta/failures.ts';

export interface ListQuery {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  limit?: number;
  continue?: string;
  resourceVersion?: string;
  resourceVersionMatch?: string;
  sendInitialEvents?: boolean;
  allowWatchBookmarks?: boolean;
  timeoutSeconds?: number;
}

/** A resourceVersion as a number; undefined when not given. Throws BadRequest for what no server of ours handed out. */
export function parseVersion(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  const version = Number(text);
  if (!/^\d{1,15}$/.test(text) || !Number.isSafeInteger(version)) {
    throw badRequest(`Invalid value: "${text}": resourceVersion must be a number this server handed out`);
  }
  return version;
}

/** metav1.internalversion ValidateListOptions. */
export function checkListQuery(query: ListQuery, watching: boolean): void {
  const causes: Cause[] = [];
  const forbid = (field: string, why: string) =>
    causes.push({ reason: 'FieldValueForbidden', message: `Forbidden: ${why}`, field });
  const { resourceVersionMatch: match } = query;
  if (match && watching && query.sendInitialEvents === undefined) {
    forbid('resourceVersionMatch', 'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided');
  }
  if (match && !watching && !query.resourceVersion) {
    forbid('resourceVersionMatch', 'resourceVersionMatch is forbidden unless resourceVersion is provided');
  }
  if (match && query.continue) {
    forbid('resourceVersionMatch', 'resourceVersionMatch is forbidden when continue is provided');
  }
  if (match && match !== 'Exact' && match !== 'NotOlderThan') {
    const message = `Unsupported value: "${match}": supported values: "Exact", "NotOlderThan"`;
    causes.push({ reason: 'FieldValueNotSupported', message, field: 'resourceVersionMatch' });
  }
  if (match === 'Exact' && query.resourceVersion === '0') {
    forbid('resourceVersionMatch', 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"');
  }
  if (query.sendInitialEvents !== undefined && !watching) {
    forbid('sendInitialEvents', 'sendInitialEvents is forbidden for list');
  }
  if (query.sendInitialEvents !== undefined && watching && match !== 'NotOlderThan') {
    forbid('resourceVersionMatch', 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan');
  }
  if (query.sendInitialEvents && !query.allowWatchBookmarks) {
    forbid('allowWatchBookmarks', 'sendInitialEvents requires setting allowWatchBookmarks to true');
  }
  if (causes.length > 0) throw invalid({ group: 'meta.k8s.io', kind: 'ListOptions' }, '', causes);
}

/** Of a token that goes on as of now instead of as of the list's beginning. */
export const anyRevision = -1;

interface Continue {
  /** The moment that all pages show, or `anyRevision`. */
  revision: number;
  /** The last key of the page before. */
  after: string;
}

/** Opaque to clients; the same shape as kube-apiserver's token. */
export function encodeContinue({ revision, after }: Continue): string {
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: revision, start: after })).toString('base64url');
}

export function decodeContinue(token: string, prefix: string): Continue {
  try {
    const { v, rv, start } = JSON.parse(Buffer.from(token, 'base64url').toString('utf8'));
    if (
      v === 'meta.k8s.io/v1' &&
      Number.isSafeInteger(rv) &&
      (rv > 0 || rv === anyRevision) &&
      typeof start === 'string' &&
      start.startsWith(prefix)
    ) {
      return { revision: rv, after: start };
    }
  } catch {}
  throw badRequest('continue key is not valid');
}
