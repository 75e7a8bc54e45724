/**
 * pods/<[scheme:]name[:port]>/proxy/<path>: authorised as the subresource `pods/proxy`, then the request as it is to a port of the Pod,
 * by the way that port-forward takes.
 *
 * Owns reading whom the name means, and which headers are passed on. Does not rewrite what the Pod answers, and upgrades nothing.
 */
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';
import { connect as connectTls } from 'node:tls';
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import type { Pod } from 'kubernetes-types/core/v1.d.ts';
import type { NodeGateway } from '../../node/gateway.ts';
import type { StreamSession } from '../../runtime/runtime.ts';
import { demand } from '../auth/authorizer.ts';
import { badRequest } from '../meta/failures.ts';
import { get } from '../verbs/get.ts';
import type { Exchange } from './exchange.ts';
import { withoutOurs } from './passed-headers.ts';
import type { ResourceRequest } from './request-info.ts';
import { attributesOf, type ResourceParts } from './resource-handler.ts';

export interface ProxyTarget {
  scheme: 'http' | 'https';
  name: string;
  /** undefined: the first port that the Pod's containers declare, or the scheme's own. */
  port: number | undefined;
}

export function isPodProxy({ group, resource, subresource, name }: ResourceRequest): boolean {
  return group === '' && resource === 'pods' && subresource === 'proxy' && name !== '';
}

export async function handlePodProxy(
  parts: ResourceParts & { gateway: (nodeName: string) => NodeGateway | undefined },
  exchange: Exchange,
  info: ResourceRequest,
): Promise<void> {
  await demand(parts.authorizer, attributesOf(exchange, info));
  const target = readTarget(info.name);
  const kind = parts.context.kinds.of({ group: '', version: info.version, resource: 'pods', namespaced: true });
  const { namespace = '' } = info;
  const object = await get(parts.context, { kind, namespace, name: target.name });
  const path = pathBelow(exchange.path);
  if (path === '' && ['GET', 'HEAD'].includes(exchange.request.method ?? '')) {
    // Relative links of a page resolve only below a slash.
    exchange.response.writeHead(301, { location: `${exchange.path}/${searchOf(exchange)}` }).end();
    return;
  }
  const gateway = parts.gateway((object as Pod).spec?.nodeName ?? '');
  if (!gateway) throw new SampanError('ServiceUnavailable', `the node of pod ${target.name} does not answer`);
  const key = { namespace, name: target.name, uid: object.metadata.uid ?? '' };
  const session = await gateway.portForward(key, portOf(target, object as Pod)).catch(unreachable);
  await using _ = session;
  await pass(exchange, { session, scheme: target.scheme, path: `${path || '/'}${searchOf(exchange)}` });
}

/** Throws BadRequest for what is no name of a Pod with a scheme before and a port behind it. */
export function readTarget(text: string): ProxyTarget {
  const parts = text.split(':');
  const [scheme = '', name = '', port = ''] = parts.length === 3 ? parts : ['', ...parts];
  const number = port === '' ? undefined : Number(port);
  const portIsGood = number === undefined || (/^\d{1,5}$/.test(port) && number > 0 && number < 65536);
  if (parts.length > 3 || !['', 'http', 'https'].includes(scheme) || name === '' || !portIsGood)
    throw badRequest(`invalid pod request "${text}"`);
  return { scheme: scheme === 'https' ? 'https' : 'http', name, port: number };
}

export function portOf({ port, scheme }: ProxyTarget, { spec }: Pod): number {
  const declared = spec?.containers.flatMap(({ ports = [] }) => ports).at(0)?.containerPort;
  return port ?? declared ?? (scheme === 'https' ? 443 : 80);
}

/** What follows `/api/v1/namespaces/<namespace>/pods/<name>/proxy`, undecoded: '' or '/...'. */
function pathBelow(path: string): string {
  const below = path.split('/').slice(8);
  return below.length > 0 ? `/${below.join('/')}` : '';
}

const searchOf = ({ query }: Exchange): string => (query.size > 0 ? `?${query}` : '');

interface Forwarded {
  session: StreamSession;
  scheme: 'http' | 'https';
  path: string;
}

/** Resolves when the answer has gone out, or its reader is gone. Throws ServiceUnavailable while nothing was answered. */
async function pass({ request, response }: Exchange, { session, scheme, path }: Forwarded): Promise<void> {
  const connection = Duplex.fromWeb({ readable: session.stdout as NodeReadableStream, writable: session.stdin! });
  // What breaks it is told by the request, or comes after its end.
  connection.on('error', () => {});
  const socket = scheme === 'https' ? connectTls({ socket: connection, rejectUnauthorized: false }) : connection;
  const onward = httpRequest({
    method: request.method,
    path,
    headers: withoutOurs(request.headers),
    createConnection: () => socket as never,
  });
  response.once('close', () => onward.destroy());
  try {
    const answered = once(onward, 'response') as Promise<[IncomingMessage]>;
    const [[answer]] = await Promise.all([answered, pipeline(request, onward)]).catch(unreachable);
    response.writeHead(answer.statusCode ?? 502, withoutOurs(answer.headers));
    await pipeline(answer, response).catch(() => {});
  } finally {
    onward.destroy();
    connection.destroy();
  }
}

function unreachable(error: unknown): never {
  if (error instanceof SampanError && error.reason === 'NotFound') throw error;
  throw new SampanError(
    'ServiceUnavailable',
    `error trying to reach service: ${messageOf(error)}`,
    {},
    { cause: error },
  );
}
