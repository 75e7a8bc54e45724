/**
 * One audit.k8s.io/v1 Event at level Metadata: who did what to which object and how it ended. Bodies, headers and messages are no part of
 * it, so no Secret's value and no token can be. Pure.
 */
import type { UserInfo } from '../auth/user.ts';
import type { Exchange } from '../http/exchange.ts';
import { type ResourceRequest, resourceRequestOf } from '../http/request-info.ts';

export interface AuditMoment {
  id: string;
  /** The sender's address. */
  from: string;
  /** RFC 3339 with microseconds. */
  receivedAt: string;
  stageAt: string;
  code: number;
}

export function auditEvent(exchange: Exchange, { id, from, receivedAt, stageAt, code }: AuditMoment): object {
  const { request, user, sender = user, failure, path } = exchange;
  const info = requestInfo(exchange);
  const failed = failure ? { status: 'Failure', ...(failure.reason ? { reason: failure.reason } : {}) } : {};
  return {
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    level: 'Metadata',
    auditID: id,
    stage: 'ResponseComplete',
    requestURI: (request.url ?? path).slice(0, maxUriChars),
    verb: info?.verb ?? (request.method ?? 'GET').toLowerCase(),
    user: userOf(sender),
    ...(sender === user ? {} : { impersonatedUser: userOf(user) }),
    sourceIPs: [from],
    ...(request.headers['user-agent'] ? { userAgent: request.headers['user-agent'].slice(0, maxUriChars) } : {}),
    ...(info ? { objectRef: objectRef(exchange, info) } : {}),
    responseStatus: { metadata: {}, ...failed, code },
    requestReceivedTimestamp: receivedAt,
    stageTimestamp: stageAt,
    annotations: {
      'authorization.k8s.io/decision': code === 403 ? 'forbid' : 'allow',
      ...Object.fromEntries(exchange.notes),
    },
  };
}

const maxUriChars = 2048;

/** A path nobody can read was refused: it is told as it came, without an object. */
function requestInfo({ request, path, query }: Exchange): ResourceRequest | undefined {
  try {
    return resourceRequestOf(request.method ?? 'GET', path, query);
  } catch {
    return undefined;
  }
}

function userOf({ name, uid, groups, extra }: UserInfo): object {
  return { username: name, ...(uid ? { uid } : {}), groups, ...(extra ? { extra } : {}) };
}

/** A created object's name is known only of the object itself. */
function objectRef({ shown }: Exchange, info: ResourceRequest): object {
  const { resource, namespace, group, version, subresource } = info;
  const name = info.name || shown?.name;
  return {
    resource,
    ...(namespace ? { namespace } : {}),
    ...(name ? { name } : {}),
    ...(shown?.uid ? { uid: shown.uid } : {}),
    ...(group ? { apiGroup: group } : {}),
    apiVersion: version,
    ...(shown?.resourceVersion ? { resourceVersion: shown.resourceVersion } : {}),
    ...(subresource ? { subresource } : {}),
  };
}
