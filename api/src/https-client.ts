/**
 * The Kubernetes API over HTTPS: KubeClient for those who are not in the server's process, or whose API is another cluster's.
 * Owns URLs, bodies, Status answers and watch streams. Does not own connections and credentials: a Transport brings those.
 */
import type {
  DeleteOptions,
  KubeClient,
  KubeObject,
  ListOptions,
  ListResult,
  PatchType,
  ResourceRef,
  WatchEvent,
} from './client.ts';
import { type ErrorDetails, httpStatusOf, type Reason, SampanError } from './errors.ts';
import { readLines } from './read-lines.ts';

export interface TransportRequest {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path and query, such as /api/v1/pods?limit=5. */
  path: string;
  headers: Record<string, string>;
  body?: string;
  signal?: AbortSignal;
}

export interface TransportResponse {
  status: number;
  body: AsyncIterable<Uint8Array>;
}

/** Sends a request with the credentials it stands for. Rejects only when there is no answer at all, with ServiceUnavailable. */
export interface Transport {
  send(request: TransportRequest): Promise<TransportResponse>;
}

export interface HttpsClientOptions {
  transport: Transport;
  /** Recorded as the manager of what this client writes. */
  fieldManager?: string;
}

const json = 'application/json';
/** Larger than any list a server sends in one page of ours; a server that sends more is not to be trusted. */
const maxAnswerBytes = 512 * 1024 * 1024;

export function createHttpsClient({ transport, fieldManager }: HttpsClientOptions): KubeClient {
  const call = async <T>(
    request: Omit<TransportRequest, 'headers' | 'body'>,
    body?: unknown,
    type = json,
  ): Promise<T> => {
    const headers = { accept: json, ...(body === undefined ? {} : { 'content-type': type }) };
    const text = body === undefined ? undefined : JSON.stringify(body);
    const answer = await transport.send({ ...request, headers, body: text });
    const received = await readText(answer);
    if (answer.status >= 400) throw errorFrom(answer.status, received);
    return parse(received) as T;
  };
  const written = { fieldManager };

  return {
    get: (ref, name, namespace, subresource) =>
      call({ method: 'GET', path: pathOf(ref, { name, namespace, subresource }) }),

    async list<T extends KubeObject>(ref: ResourceRef, options: ListOptions = {}): Promise<ListResult<T>> {
      const path = pathOf(ref, { namespace: options.namespace, query: selectionQuery(options) });
      const { items, metadata, kind = '', apiVersion } = await call<List<T>>({ method: 'GET', path });
      const itemKind = kind.replace(/List$/, '');
      const typed = (items ?? []).map((item) => ({ apiVersion, kind: itemKind, ...item }));
      return {
        items: typed,
        resourceVersion: metadata?.resourceVersion ?? '',
        continue: metadata?.continue || undefined,
      };
    },

    watch: <T extends KubeObject>(
      ref: ResourceRef,
      options: ListOptions & { resourceVersion: string },
      signal: AbortSignal,
    ) => watchOver<T>(transport, ref, options, signal),

    create(ref, object, options = {}) {
      const { subresource, name = object.metadata?.name } = options;
      const namespace = options.namespace ?? object.metadata?.namespace;
      const place = { namespace, subresource, query: written, ...(subresource ? { name } : {}) };
      return call({ method: 'POST', path: pathOf(ref, place) }, object);
    },

    update(ref, object, { subresource } = {}) {
      const { name, namespace } = object.metadata ?? {};
      return call({ method: 'PUT', path: pathOf(ref, { name, namespace, subresource, query: written }) }, object);
    },

    patch<T extends KubeObject>(
      ref: ResourceRef,
      name: string,
      patch: unknown,
      options: { namespace?: string; type: PatchType; subresource?: string; fieldManager?: string; force?: boolean },
    ): Promise<T> {
      const { namespace, subresource, type, force } = options;
      const query = { fieldManager: options.fieldManager ?? fieldManager, force: force ? 'true' : undefined };
      return call({ method: 'PATCH', path: pathOf(ref, { name, namespace, subresource, query }) }, patch, type);
    },

    delete(ref, name, { namespace, ...options }: DeleteOptions & { namespace?: string } = {}) {
      const body = { apiVersion: 'v1', kind: 'DeleteOptions', ...options };
      return call({ method: 'DELETE', path: pathOf(ref, { name, namespace }) }, body);
    },
  };
}

interface List<T> {
  kind?: string;
  apiVersion?: string;
  metadata?: { resourceVersion?: string; continue?: string };
  items?: T[];
}

async function* watchOver<T extends KubeObject>(
  transport: Transport,
  ref: ResourceRef,
  options: ListOptions & { resourceVersion: string },
  signal: AbortSignal,
): AsyncGenerator<WatchEvent<T>> {
  let { resourceVersion } = options;
  while (!signal.aborted) {
    let silent = true;
    const query = { ...selectionQuery(options), resourceVersion, watch: 'true', allowWatchBookmarks: 'true' };
    const path = pathOf(ref, { namespace: options.namespace, query });
    try {
      const answer = await transport.send({ method: 'GET', path, headers: { accept: json }, signal });
      if (answer.status >= 400) throw errorFrom(answer.status, await readText(answer));
      for await (const line of readLines(answer.body)) {
        const event = parse(line) as WatchEvent<T> | { type: 'ERROR'; object: unknown };
        if (event.type === 'ERROR') throw errorFrom(500, JSON.stringify(event.object));
        silent = false;
        resourceVersion = event.object.metadata?.resourceVersion ?? resourceVersion;
        yield event;
      }
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    // The server ends every watch after a while: go on where it ended. One that says nothing first is not asked again at once.
    if (silent && !signal.aborted)
      throw new SampanError('ServiceUnavailable', `the server ended the watch of ${ref.resource}`);
  }
}

interface Place {
  name?: string;
  namespace?: string;
  subresource?: string;
  query?: Record<string, string | undefined>;
}

/** Throws BadRequest for a name that would end up as another path. */
export function pathOf(ref: ResourceRef, { name, namespace, subresource, query = {} }: Place): string {
  const parts = ref.group ? ['apis', ref.group, ref.version] : ['api', ref.version];
  if (ref.namespaced && namespace) parts.push('namespaces', namespace);
  parts.push(ref.resource);
  if (name !== undefined) parts.push(name);
  if (subresource) parts.push(subresource);
  for (const part of parts) {
    if (!part || part === '.' || part === '..')
      throw new SampanError('BadRequest', `"${part}" cannot stand in a path of ${ref.resource}`);
  }
  const search = new URLSearchParams(Object.entries(query).flatMap(([key, value]) => (value ? [[key, value]] : [])));
  const path = `/${parts.map(encodeURIComponent).join('/')}`;
  return search.size > 0 ? `${path}?${search}` : path;
}

function selectionQuery(options: ListOptions): Record<string, string | undefined> {
  const { labelSelector, fieldSelector, limit, resourceVersion } = options;
  return {
    labelSelector,
    fieldSelector,
    limit: limit ? String(limit) : undefined,
    continue: options.continue,
    resourceVersion,
  };
}

async function readText({ body }: TransportResponse): Promise<string> {
  const decoder = new TextDecoder();
  const parts: string[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > maxAnswerBytes)
      throw new SampanError('ResourceExhausted', `the answer is larger than ${maxAnswerBytes} bytes`);
    parts.push(decoder.decode(chunk, { stream: true }));
  }
  return parts.join('') + decoder.decode();
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new SampanError(
      'InternalError',
      `the server's answer is no JSON: ${text.slice(0, 100)}`,
      {},
      { cause: error },
    );
  }
}

/** Reasons of HTTP codes for answers that are no Status: a proxy's, or a server's last words. */
const reasonOfCode: Record<number, Reason> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  406: 'NotAcceptable',
  409: 'Conflict',
  410: 'Expired',
  413: 'RequestEntityTooLarge',
  415: 'UnsupportedMediaType',
  422: 'Invalid',
  429: 'TooManyRequests',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

function errorFrom(code: number, text: string): SampanError {
  let status: { reason?: string; message?: string; details?: ErrorDetails; code?: number } = {};
  try {
    status = JSON.parse(text) ?? {};
  } catch {}
  const known = status.reason && Object.hasOwn(httpStatusOf, status.reason) ? (status.reason as Reason) : undefined;
  const reason = known ?? reasonOfCode[status.code ?? code] ?? 'InternalError';
  return new SampanError(
    reason,
    status.message || text.slice(0, 200) || `the server answered ${code}`,
    status.details ?? {},
  );
}
