/**
 * Requests to a kubelet's server over HTTPS, as kube-apiserver makes them: with a client certificate of ours, and, like it, without asking whose certificate the
 * kubelet has unless an authority is named for that: most kubelets have made their own.
 */
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Duplex } from 'node:stream';
import { messageOf, type Reason, SampanError } from '@sampan/api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { CertifiedKey } from '../pki/certificates.ts';
import type { KubeletEndpoint } from './kubelet-endpoint.ts';

export interface KubeletClientOptions {
  endpoint: () => Promise<KubeletEndpoint>;
  credentials: () => Promise<CertifiedKey>;
  clock: Clock;
  /** PEM: whose kubelets alone are believed. Absent: anybody's. */
  authority?: string;
}

export interface KubeletRequest {
  /** With its query. */
  path: string;
  method?: string;
  headers?: OutgoingHttpHeaders;
  /** The request's body. */
  body?: AsyncIterable<Uint8Array>;
  signal?: AbortSignal;
}

export interface Upgraded {
  socket: Duplex;
  /** What came right behind the answer's headers. */
  head: Buffer;
  headers: IncomingMessage['headers'];
}

/** The answer may take longer: that of a log that is followed begins with its first line, which whoever asked for it waits for. */
const connectMs = 15_000;
/** Of what nobody waits for but we: as long as a kubelet waits for its runtime (runtimeRequestTimeout). */
const answerMs = 120_000;
const maxWords = 4096;
const maxBodyBytes = 64 << 20;

export class KubeletClient {
  readonly #options: KubeletClientOptions;

  constructor(options: KubeletClientOptions) {
    this.#options = options;
  }

  /** The answer, whatever its status, with its body still to come. Throws ServiceUnavailable. */
  async send(wanted: KubeletRequest): Promise<IncomingMessage> {
    const result = await this.#ask(wanted);
    if ('answer' in result) return result.answer;
    result.upgraded.socket.destroy();
    throw new SampanError('ServiceUnavailable', 'the kubelet took the connection for another protocol unasked');
  }

  /** The answer to what went well. Throws with the kubelet's words otherwise. */
  async get(wanted: KubeletRequest): Promise<IncomingMessage> {
    const answer = await this.send(wanted);
    if (answer.statusCode === 200) return answer;
    throw await refusal(answer);
  }

  /** A JSON document, bounded. Throws InternalError where it is none. */
  async json(path: string): Promise<object> {
    const text = await this.#inTime(async (signal) => textOf(await this.get({ path, signal }), maxBodyBytes));
    try {
      return JSON.parse(text) as object;
    } catch {
      throw new SampanError('InternalError', `the kubelet's answer to ${path} is no JSON`);
    }
  }

  /** The connection, once the kubelet has agreed to another protocol. Throws with its words otherwise. */
  upgrade(wanted: Omit<KubeletRequest, 'signal'>): Promise<Upgraded> {
    return this.#inTime(async (signal) => {
      const result = await this.#ask({ ...wanted, signal });
      if ('upgraded' in result) return result.upgraded;
      throw await refusal(result.answer);
    });
  }

  /** Gives `work` a signal for its request, which ends that when it takes too long. Throws ServiceUnavailable then. */
  async #inTime<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const [done, late] = [new AbortController(), new AbortController()];
    const words = new SampanError('ServiceUnavailable', `the kubelet did not answer within ${answerMs / 1000} s`);
    this.#options.clock.sleep(answerMs, done.signal).then(
      () => late.abort(words),
      () => {},
    );
    try {
      return await work(late.signal);
    } catch (error) {
      throw late.signal.aborted ? words : error;
    } finally {
      done.abort();
    }
  }

  async #ask(wanted: KubeletRequest): Promise<{ answer: IncomingMessage } | { upgraded: Upgraded }> {
    const { authority } = this.#options;
    const [{ host, port }, { certificate, key }] = await Promise.all([
      this.#options.endpoint(),
      this.#options.credentials(),
    ]);
    const request = httpsRequest({
      ...{ host, port, path: wanted.path, method: wanted.method ?? 'GET', headers: wanted.headers ?? {} },
      ...{ cert: certificate, key, agent: false },
      ...(authority ? { ca: authority } : { rejectUnauthorized: false }),
      ...(wanted.signal ? { signal: wanted.signal } : {}),
    });
    const { promise, resolve, reject } = Promise.withResolvers<{ answer: IncomingMessage } | { upgraded: Upgraded }>();
    const connected = new AbortController();
    request.once('socket', (socket) => socket.once('secureConnect', () => connected.abort()));
    this.#options.clock.sleep(connectMs, connected.signal).then(
      () => request.destroy(new Error(`no connection within ${connectMs / 1000} s`)),
      () => {},
    );
    request.on('error', reject);
    request.once('response', (answer) => resolve({ answer }));
    request.once('upgrade', (answer, socket, head) => {
      resolve({ upgraded: { socket, head, headers: answer.headers } });
    });
    if (wanted.body) void carry(wanted.body, request).catch((error) => request.destroy(error));
    else request.end();
    return promise.catch((error) => {
      connected.abort();
      throw new SampanError(
        'ServiceUnavailable',
        `kubelet at ${host}:${port}: ${messageOf(error)}`,
        {},
        { cause: error },
      );
    });
  }
}

async function carry(body: AsyncIterable<Uint8Array>, request: ReturnType<typeof httpsRequest>): Promise<void> {
  for await (const chunk of body)
    if (!request.write(chunk)) await new Promise((resolve) => request.once('drain', resolve).once('close', resolve));
  request.end();
}

const reasons: Record<number, Reason> = { 400: 'BadRequest', 404: 'NotFound', 429: 'TooManyRequests' };

/** What the kubelet says of why not. That it does not know us (401, 403) is our fault and not the caller's. */
async function refusal(answer: IncomingMessage): Promise<SampanError> {
  const words = await textOf(answer, maxWords).catch(() => '');
  const status = answer.statusCode ?? 0;
  const message = words.trim() || `the kubelet answered ${status}`;
  const reason = reasons[status] ?? ([401, 403].includes(status) ? 'ServiceUnavailable' : 'InternalError');
  return new SampanError(reason, message);
}

/** At most so many bytes of it; the rest is not read. */
async function textOf(answer: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer) {
    chunks.push(chunk as Buffer);
    size += (chunk as Buffer).length;
    if (size >= maxBytes) break;
  }
  answer.destroy();
  return Buffer.concat(chunks).subarray(0, maxBytes).toString();
}
