/** HTTPS requests to the API with an instance's credentials: streams in and out, Kubernetes' Status answers as errors. */
import type { IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import { httpStatusOf, type Reason, SampanError } from '@sampan/api/errors.ts';
import type { Credentials } from './credentials.ts';
import { connectionLost, Failure } from './failure.ts';

export interface ApiRequest {
  method?: string;
  path: string;
  headers?: Record<string, string>;
  body?: string | NodeJS.ReadableStream;
  signal?: AbortSignal;
}

/** One connection pool a process. */
const agents = new WeakMap<Credentials, Agent>();

function agentFor(credentials: Credentials): Agent {
  let agent = agents.get(credentials);
  if (!agent) {
    agent = new Agent({ ca: credentials.ca, cert: credentials.cert, key: credentials.key, keepAlive: true });
    agents.set(credentials, agent);
  }
  return agent;
}

/** The answer once its head has arrived, whatever its status. */
export function send(credentials: Credentials, wanted: ApiRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const url = new URL(wanted.path, credentials.server);
    const headers: Record<string, string> = { accept: 'application/json', ...wanted.headers };
    // Node adds no length of its own to the body of a DELETE.
    if (typeof wanted.body === 'string') headers['content-length'] = String(Buffer.byteLength(wanted.body));
    if (credentials.token) headers.authorization = `Bearer ${credentials.token}`;
    const request = httpsRequest(url, {
      method: wanted.method ?? 'GET',
      headers,
      agent: agentFor(credentials),
      signal: wanted.signal,
    });
    request.on('response', resolve);
    request.on('error', (error: NodeJS.ErrnoException) => reject(unreachable(error, credentials)));
    if (wanted.body && typeof wanted.body !== 'string') wanted.body.pipe(request);
    else request.end(wanted.body);
  });
}

/** The answer's body as it comes; throws what the server's Status says when it is no success. */
export async function open(credentials: Credentials, wanted: ApiRequest): Promise<IncomingMessage> {
  const response = await send(credentials, wanted);
  if ((response.statusCode ?? 500) < 400) return response;
  const text = await readText(response);
  let status: { message?: string; reason?: string; details?: object } = {};
  try {
    status = JSON.parse(text);
  } catch {}
  const reason = (status.reason && status.reason in httpStatusOf ? status.reason : 'InternalError') as Reason;
  throw new SampanError(
    reason,
    status.message ?? `${wanted.path} answered ${response.statusCode}`,
    status.details ?? {},
  );
}

export async function readText(stream: NodeJS.ReadableStream): Promise<string> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of stream) chunks.push(chunk as Buffer);
  } catch (error) {
    throw hungUp(error as NodeJS.ErrnoException, 'the server ended in the middle of its answer');
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Node's words for a server that went away are "aborted" and "socket hang up". Any other error is given back. */
export const hungUp = (error: NodeJS.ErrnoException, why: string): Error =>
  error.code === 'ECONNRESET' || error.code === 'EPIPE' ? connectionLost(why) : error;

export async function getJson<T>(credentials: Credentials, path: string, accept = 'application/json'): Promise<T> {
  return JSON.parse(await readText(await open(credentials, { path, headers: { accept } }))) as T;
}

export function unreachable(error: NodeJS.ErrnoException, credentials: Credentials): Error {
  if (isOfTls(error.code ?? ''))
    return new Failure(`what answers at ${credentials.server} is not this instance`, {
      why: error.message.trim(),
      mend: './sampan status tells whether it runs; another may hold the port (./sampan doctor), or SAMPAN_HOME names another',
    });
  if (error.code !== 'ECONNREFUSED') return hungUp(error, 'the server ended before it answered');
  return new Failure(`nothing answers at ${credentials.server}`, {
    why: error.message,
    mend: 'start the platform: ./sampan up',
  });
}

/** No TLS at all, or a certificate that this instance's authority has not signed. */
const isOfTls = (code: string): boolean => code === 'EPROTO' || /^ERR_(SSL|TLS)_|CERT|SIGNATURE/.test(code);
