/**
 * /openapi/v3: an index with hashes, and one document a group version; /openapi/v2: all in one, for older clients.
 * Documents are made when first asked for and kept compressed: they are large and nearly every client takes gzip.
 */
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { type Described, openApiV3 } from '@sampan/api/schema/open-api.ts';
import type { Action } from '../meta/action.ts';
import type { KindTable } from '../meta/kinds.ts';
import { type Exchange, send, sendBytes, sendGzipped } from './exchange.ts';
import { formatOf, notAcceptable, parseAccept } from './negotiate.ts';
import { openApiV2 } from './openapi-v2.ts';
import { encodeOpenApiV2, openApiV2ProtobufType } from './openapi-v2-protobuf.ts';

const compress = promisify(gzip);
const expand = promisify(gunzip);
const prefix = '/openapi/v3';

interface Document {
  hash: string;
  gzipped: Buffer;
}

export class OpenApi {
  readonly #kinds: KindTable;
  readonly #actions: readonly Action[];
  readonly #made = new Map<string, { of: Described; document: Promise<Document> }>();
  #index: { version: number; groupVersions: Map<string, Described> } | undefined;

  constructor(kinds: KindTable, actions: readonly Action[]) {
    this.#kinds = kinds;
    this.#actions = actions;
  }

  /** `api/v1` or `apis/<group>/<version>` to what its document describes. */
  get #groupVersions(): ReadonlyMap<string, Described> {
    const { version, all } = this.#kinds;
    if (this.#index?.version !== version)
      this.#index = { version, groupVersions: byGroupVersion({ kinds: all, posted: this.#actions }) };
    return this.#index.groupVersions;
  }

  /** Undefined for paths that are not OpenAPI's. */
  answer(exchange: Exchange, path: string): Promise<void> | undefined {
    if (path === '/openapi/v2') return this.#answerV2(exchange);
    if (path === prefix) return this.#answerIndex(exchange);
    const wanted = path.startsWith(`${prefix}/`) ? path.slice(prefix.length + 1) : '';
    return this.#groupVersions.has(wanted) ? this.#answerDocument(exchange, wanted) : undefined;
  }

  /** Not kept: clients do, and only old ones ask. */
  async #answerV2(exchange: Exchange): Promise<void> {
    const documents = await Promise.all([...this.#groupVersions.values()].map((one) => openApiV3(one)));
    const types = parseAccept(exchange.request.headers.accept).map(({ type }) => type);
    const wanted = types.find((type) => formatOf(type) === 'json' || isProtobufV2(type));
    if (!wanted) throw notAcceptable();
    const document = openApiV2(documents);
    if (isProtobufV2(wanted)) await sendBytes(exchange, 200, encodeOpenApiV2(document), openApiV2ProtobufType);
    else await send(exchange, 200, document);
  }

  async #answerIndex(exchange: Exchange): Promise<void> {
    requireJson(exchange);
    const entries = [...this.#groupVersions.keys()].map(async (name) => {
      const { hash } = await this.#document(name);
      return [name, { serverRelativeURL: `${prefix}/${name}?hash=${hash}` }];
    });
    await send(exchange, 200, { paths: Object.fromEntries(await Promise.all(entries)) });
  }

  async #answerDocument(exchange: Exchange, name: string): Promise<void> {
    requireJson(exchange);
    const { hash, gzipped } = await this.#document(name);
    exchange.response.setHeader('ETag', `"${hash}"`);
    if (exchange.query.get('hash') === hash) {
      // The URL names its content, so it may be kept.
      exchange.response.setHeader('Cache-Control', 'public, max-age=31536000, immutable');
    }
    if (exchange.request.headers['if-none-match'] === `"${hash}"`) {
      exchange.response.statusCode = 304;
      exchange.response.end();
    } else if (/\bgzip\b/.test(String(exchange.request.headers['accept-encoding'] ?? ''))) {
      sendGzipped(exchange, gzipped);
    } else await sendBytes(exchange, 200, await expand(gzipped), 'application/json');
  }

  #document(name: string): Promise<Document> {
    const of = this.#groupVersions.get(name) ?? { kinds: [] };
    const before = this.#made.get(name);
    const isCurrent =
      before?.of.kinds.length === of.kinds.length && before.of.kinds.every((kind, i) => kind === of.kinds[i]);
    if (before && isCurrent) return before.document;
    const document = this.#make(of);
    this.#made.set(name, { of, document });
    for (const old of this.#made.keys()) if (!this.#groupVersions.has(old)) this.#made.delete(old);
    return document;
  }

  async #make(of: Described): Promise<Document> {
    const text = JSON.stringify(await openApiV3(of));
    const hash = createHash('sha512').update(text).digest('hex').toUpperCase();
    return { hash, gzipped: await compress(text) };
  }
}

function byGroupVersion({ kinds, posted = [] }: Described): Map<string, Described> {
  const nameOf = ({ group, version }: { group: string; version: string }) =>
    group ? `apis/${group}/${version}` : `api/${version}`;
  const kindsOf = Map.groupBy(kinds, ({ ref }) => nameOf(ref));
  const postedOf = Map.groupBy(posted, nameOf);
  const names = new Set([...kindsOf.keys(), ...postedOf.keys()]);
  return new Map(
    [...names].map((name) => [name, { kinds: kindsOf.get(name) ?? [], posted: postedOf.get(name) ?? [] }]),
  );
}

function isProtobufV2(type: string): boolean {
  return type.replace('@', '.') === openApiV2ProtobufType;
}

/** The protobuf form of these documents is not served: clients fall back to JSON when refused. */
function requireJson({ request }: Exchange): void {
  const acceptable = parseAccept(request.headers.accept).some(({ type }) => formatOf(type) === 'json');
  if (!acceptable) throw notAcceptable();
}
