/** The paths that are no resources: discovery, OpenAPI, health, version, the token issuer's keys. */
import { createHash } from 'node:crypto';
import { issuer } from '../auth/service-account-tokens.ts';
import type { Action } from '../meta/action.ts';
import { badRequest } from '../meta/failures.ts';
import type { VerbContext } from '../verbs/context.ts';
import type { Discovery } from './discovery.ts';
import { type Exchange, send, sendBytes } from './exchange.ts';
import type { PathHandler } from './front-door.ts';
import { health } from './health.ts';
import { notAcceptable, parseAccept } from './negotiate.ts';
import { OpenApi } from './openapi.ts';

export interface PathsOptions {
  context: VerbContext;
  discovery: Discovery;
  version: object;
  actions: readonly Action[];
  /** The service accounts' public keys, as a JSON Web Key Set. */
  keySet(): Promise<object>;
}

export function createPaths({ context, discovery, version, actions, keySet }: PathsOptions): PathHandler {
  const openApi = new OpenApi(context.kinds, actions);
  const served: Record<string, (exchange: Exchange) => Promise<void>> = {
    '/api': (exchange) =>
      showDiscovery(exchange, {
        plain: () => discovery.coreVersions(exchange.request.headers.host ?? ''),
        aggregated: (of) => discovery.aggregated(of, true),
      }),
    '/apis': (exchange) =>
      showDiscovery(exchange, {
        plain: () => discovery.groupList(),
        aggregated: (of) => discovery.aggregated(of, false),
      }),
    '/version': (exchange) => send(exchange, 200, version),
    '/openid/v1/jwks': async (exchange) =>
      sendBytes(exchange, 200, Buffer.from(JSON.stringify(await keySet())), 'application/jwk-set+json'),
    '/.well-known/openid-configuration': (exchange) =>
      send(exchange, 200, {
        issuer,
        jwks_uri: `https://${exchange.request.headers.host}/openid/v1/jwks`,
        response_types_supported: ['id_token'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['ES256'],
      }),
    '/': (exchange) =>
      send(exchange, 200, { paths: [...Object.keys(served), '/healthz', '/livez', '/readyz', '/openapi/v3'] }),
  };
  return (exchange) => {
    const path = exchange.path.length > 1 ? exchange.path.replace(/\/$/, '') : exchange.path;
    if (exchange.request.method !== 'GET' && exchange.request.method !== 'HEAD') return undefined;
    const handler = served[path];
    if (handler) return handler(exchange);
    if (/^\/(healthz|livez|readyz)(\/|$)/.test(path)) return showHealth(context, exchange, path);
    const openApiAnswer = openApi.answer(exchange, path);
    if (openApiAnswer) return openApiAnswer;
    const described = describe(discovery, path);
    if (described) return send(exchange, 200, described);
    return undefined;
  };
}

function describe(discovery: Discovery, path: string): object | undefined {
  const [, root, first = '', second, more] = path.split('/');
  if (more !== undefined) return undefined;
  if (root === 'api' && second === undefined) return discovery.resourceList('', first);
  if (root !== 'apis') return undefined;
  return second === undefined ? discovery.groupNamed(first) : discovery.resourceList(first, second);
}

interface DiscoveryForms {
  plain(): object;
  aggregated(version: string): object;
}

/** Aggregated where the client prefers it and we know the version; clients tell which they got by the Content-Type. */
async function showDiscovery(exchange: Exchange, forms: DiscoveryForms): Promise<void> {
  for (const { type, parameters } of parseAccept(exchange.request.headers.accept)) {
    if (type !== 'application/json' && type !== '*/*' && type !== 'application/*') continue;
    const { as, g: group, v: version = '' } = parameters;
    if (!as) return send(exchange, 200, forms.plain());
    if (as !== 'APIGroupDiscoveryList' || group !== 'apidiscovery.k8s.io' || !['v2', 'v2beta1'].includes(version))
      continue;
    const body = Buffer.from(JSON.stringify(forms.aggregated(version)));
    const tag = `"${createHash('sha512').update(body).digest('hex').toUpperCase()}"`;
    exchange.response.setHeader('ETag', tag);
    exchange.response.setHeader('Vary', 'Accept');
    if (exchange.request.headers['if-none-match'] === tag) {
      exchange.response.statusCode = 304;
      exchange.response.end();
      return;
    }
    return sendBytes(
      exchange,
      200,
      body,
      `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`,
    );
  }
  throw notAcceptable();
}

async function showHealth(context: VerbContext, exchange: Exchange, path: string): Promise<void> {
  const answer = await health(context, path, exchange.query);
  if (!answer) throw badRequest(`there is no check ${path}`);
  await sendBytes(exchange, answer.code, Buffer.from(answer.text), 'text/plain; charset=utf-8');
}
