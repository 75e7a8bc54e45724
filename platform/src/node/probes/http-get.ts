/** One HTTP request to a Pod, as kubelet's probes and hooks make it: no certificate is verified, redirects within the host are followed. */
import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { SampanError } from '@sampan/api/errors.ts';
import type { HTTPHeader } from 'kubernetes-types/core/v1.js';
import type { Clock } from '../../base/clock.ts';

export interface HttpTarget {
  host: string;
  port: number;
  path?: string;
  scheme?: string;
  headers?: HTTPHeader[];
  timeoutMs: number;
  clock: Clock;
  signal?: AbortSignal;
}

export interface HttpAnswer {
  status: number;
  /** At most 10 KiB of it. */
  body: string;
  /** Set when the last answer sent us to another host, where we do not go. */
  redirectedTo?: string;
}

const maxBodyBytes = 10 * 1024;
const maxRedirects = 10;
const userAgent = 'kube-probe/1.33';

/** Throws Timeout or ServiceUnavailable with a sentence as Go's HTTP client has it. */
export async function httpGet(target: HttpTarget): Promise<HttpAnswer> {
  const timeout = new AbortController();
  const done = new AbortController();
  const first = new URL(`${(target.scheme ?? 'HTTP').toLowerCase()}://${bracketed(target.host)}:${target.port}`);
  setPath(first, target.path ?? '/');
  const timer = target.clock.sleep(target.timeoutMs, done.signal).then(
    () => timeout.abort(),
    () => {},
  );
  const signal = target.signal ? AbortSignal.any([timeout.signal, target.signal]) : timeout.signal;
  try {
    return await follow(first, target, signal);
  } catch (error) {
    target.signal?.throwIfAborted();
    if (timeout.signal.aborted)
      throw new SampanError(
        'Timeout',
        `Get "${first.href}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)`,
      );
    throw new SampanError(
      'ServiceUnavailable',
      `Get "${first.href}": ${dialWords(error, first)}`,
      {},
      { cause: error },
    );
  } finally {
    done.abort();
    await timer;
  }
}

async function follow(first: URL, target: HttpTarget, signal: AbortSignal): Promise<HttpAnswer> {
  let url = first;
  for (let count = 0; count <= maxRedirects; count++) {
    const answer = await once(url, target.headers ?? [], signal);
    const location = answer.status >= 300 && answer.status < 400 ? answer.location : undefined;
    if (!location) return { status: answer.status, body: answer.body };
    const next = new URL(location, url);
    if (next.hostname !== first.hostname) return { status: answer.status, body: answer.body, redirectedTo: next.href };
    url = next;
  }
  throw new Error(`stopped after ${maxRedirects} redirects`);
}

function once(url: URL, headers: HTTPHeader[], signal: AbortSignal): Promise<HttpAnswer & { location?: string }> {
  const send = url.protocol === 'https:' ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const request = send(
      url,
      { agent: false, headers: headersOf(url, headers), signal, rejectUnauthorized: false },
      (response) => {
        readBody(response).then((body) => {
          resolve({ status: response.statusCode ?? 0, body, location: response.headers.location });
          request.destroy();
        }, reject);
      },
    );
    request.on('error', reject);
    request.end();
  });
}

/** Names that are given several times are sent several times; an empty value takes a default away. */
function headersOf(url: URL, own: HTTPHeader[]): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = { 'User-Agent': userAgent, Accept: '*/*', Host: url.host };
  const names = new Set(own.map(({ name }) => name.toLowerCase()));
  for (const name of Object.keys(headers)) if (names.has(name.toLowerCase())) delete headers[name];
  for (const { name, value } of own) {
    const before = headers[name];
    headers[name] = before === undefined ? value : [...[before].flat(), value];
  }
  return headers;
}

async function readBody(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response) {
    chunks.push(chunk as Buffer);
    size += (chunk as Buffer).length;
    if (size >= maxBodyBytes) break;
  }
  return Buffer.concat(chunks).subarray(0, maxBodyBytes).toString('utf8');
}

/** A probe's path may carry a query, and may lack its slash. */
function setPath(url: URL, path: string): void {
  const [pathname = '', ...query] = path.split('?');
  url.pathname = pathname.startsWith('/') ? pathname : `/${pathname}`;
  if (query.length > 0) url.search = query.join('?');
}

const bracketed = (host: string): string => (host.includes(':') && !host.startsWith('[') ? `[${host}]` : host);

/** What Go says of a connection that could not be made. */
export function dialWords(error: unknown, { host }: { host: string }): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ECONNREFUSED') return `dial tcp ${host}: connect: connection refused`;
  if (code === 'EHOSTUNREACH') return `dial tcp ${host}: connect: no route to host`;
  if (code === 'ETIMEDOUT') return `dial tcp ${host}: i/o timeout`;
  if (code === 'ECONNRESET') return `read tcp ${host}: read: connection reset by peer`;
  return error instanceof Error ? error.message : String(error);
}
