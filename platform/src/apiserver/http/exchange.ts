/** One HTTP request and its answer, with what is known of it so far. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Clock } from '../../base/clock.ts';
import type { UserInfo } from '../auth/user.ts';
import type { Status } from '../meta/status.ts';
import { readAway } from './read-away.ts';
import { isTrue } from './request-info.ts';

export interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  path: string;
  query: URLSearchParams;
  user: UserInfo;
  /** Texts for Warning headers, in order, each once. */
  warnings: Set<string>;
  /** Annotations of its audit event. */
  notes: Map<string, string>;
  /** Who sent it, where `user` is whom he impersonates. */
  sender?: UserInfo;
  /** What it was refused with. */
  failure?: Status;
  /** The one object that was answered. */
  shown?: { name?: string; uid?: string; resourceVersion?: string };
}

const compress = promisify(gzip);
/** Smaller answers cost more to compress than to send (apiserver/pkg/endpoints/handlers/responsewriters). */
const gzipFromBytes = 128 * 1024;

/** Serialises and sends; large answers are gzipped where the client takes it. */
export async function send(exchange: Exchange, code: number, value: object, format: 'json' | 'yaml' = 'json') {
  const pretty = wantsPretty(exchange) ? 2 : undefined;
  const text = format === 'yaml' ? await toYaml(value) : JSON.stringify(value, undefined, pretty);
  await sendBytes(exchange, code, Buffer.from(pretty ? `${text}\n` : text), `application/${format}`);
}

/** The writer is loaded when first needed: nearly every client takes JSON. */
async function toYaml(value: object): Promise<string> {
  const { stringify } = await import('yaml');
  return stringify(value);
}

export async function sendBytes(exchange: Exchange, code: number, body: Buffer, type: string): Promise<void> {
  const { request, response } = exchange;
  if (response.headersSent || response.destroyed) return;
  setHead(exchange, code, type);
  let bytes = body;
  if (isGzipped(exchange, body.length)) bytes = await compress(body, { level: 1 });
  response.setHeader('Content-Length', bytes.length);
  response.end(request.method === 'HEAD' ? undefined : bytes);
}

export function setHead(exchange: Exchange, code: number, type: string): void {
  const { response } = exchange;
  response.statusCode = code;
  response.setHeader('Content-Type', type);
  if (!response.hasHeader('Cache-Control')) response.setHeader('Cache-Control', 'no-cache, private');
  setWarnings(exchange);
}

/** Whether an answer of so many bytes is to be compressed for this client; the head then says so. */
export function isGzipped({ request, response }: Exchange, bytes: number): boolean {
  if (bytes < gzipFromBytes) return false;
  response.appendHeader('Vary', 'Accept-Encoding');
  if (!/\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''))) return false;
  response.setHeader('Content-Encoding', 'gzip');
  return true;
}

/** JSON that is compressed already. */
export function sendGzipped({ request, response }: Exchange, gzipped: Buffer): void {
  response.setHeader('Content-Type', 'application/json');
  response.setHeader('Content-Encoding', 'gzip');
  response.setHeader('Vary', 'Accept-Encoding');
  response.setHeader('Content-Length', gzipped.length);
  response.end(request.method === 'HEAD' ? undefined : gzipped);
}

export async function sendStatus(exchange: Exchange, status: Status, clock: Clock): Promise<void> {
  const { response, request } = exchange;
  if (status.details?.retryAfterSeconds) response.setHeader('Retry-After', status.details.retryAfterSeconds);
  if (request.complete) return send(exchange, status.code, status);
  // What is left of a refused body must not be read as the next request.
  response.setHeader('Connection', 'close');
  setHead(exchange, status.code, 'application/json');
  const body = Buffer.from(JSON.stringify(status));
  response.setHeader('Content-Length', body.length);
  response.write(body);
  await readAway(request, clock);
  response.end();
}

/** As kube-apiserver: up to here warnings are sent whole. */
const maxWarningChars = 4096;
const maxWarnings = 20;

export function setWarnings({ response, warnings }: Exchange): void {
  if (warnings.size === 0) return;
  // Headers are ASCII; what is not, a field's name for one, must not break the answer.
  const all = [...warnings].slice(0, maxWarnings).map((text) => text.replaceAll(/[^\x20-\x7e]/g, '?'));
  const isTooMuch = all.reduce((total, text) => total + text.length, 0) > maxWarningChars;
  const plain = isTooMuch ? all.map((text) => text.slice(0, maxWarningChars / maxWarnings)) : all;
  const quoted = plain.map((text) => `299 - ${JSON.stringify(text)}`);
  response.setHeader('Warning', quoted);
}

export function wantsPretty({ query, request }: Exchange): boolean {
  const asked = query.get('pretty');
  if (asked !== null) return isTrue(asked);
  return /^(curl|Wget|Mozilla)\//.test(request.headers['user-agent'] ?? '');
}
