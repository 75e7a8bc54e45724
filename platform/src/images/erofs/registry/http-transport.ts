/**
 * One HTTP request over node:http(s): no redirects, no credentials of its own, no decoding. Bodies stream; a silent peer becomes Timeout, an
 * unreachable one ServiceUnavailable.
 */
import http from 'node:http';
import https from 'node:https';
import { isReason, messageOf, SampanError } from '@sampan/api/errors.ts';
import type { Clock } from '../../../base/clock.ts';
import { StallGuard } from './stall-guard.ts';

export interface HttpRequest {
  url: URL;
  method?: string;
  headers?: Record<string, string>;
  /** A stream is made anew for each try. */
  body?: Buffer | (() => AsyncIterable<Buffer>);
  signal?: AbortSignal | undefined;
}

export interface HttpResponse {
  status: number;
  headers: http.IncomingHttpHeaders;
  /** To be read to its end or left early; or else `discard` is to be called. */
  body: AsyncIterable<Buffer>;
  discard(): void;
}

export interface TransportOptions {
  clock: Clock;
  /** No byte for this long is Timeout. */
  stallMs: number;
  /** Accepts any certificate: for registries configured as insecure. */
  acceptAnyCertificate: boolean;
}

export class HttpTransport {
  readonly #options: TransportOptions;
  readonly #http = new http.Agent({ keepAlive: true, maxSockets: 8 });
  readonly #https: https.Agent;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#https = new https.Agent({
      keepAlive: true,
      maxSockets: 8,
      rejectUnauthorized: !options.acceptAnyCertificate,
    });
  }

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }

  send(options: HttpRequest): Promise<HttpResponse> {
    const { url, signal } = options;
    const { clock, stallMs } = this.#options;
    return new Promise((resolve, reject) => {
      const secure = url.protocol === 'https:';
      const request = (secure ? https : http).request(url, {
        method: options.method ?? 'GET',
        headers: { 'user-agent': 'sampan', 'accept-encoding': 'identity', ...options.headers },
        agent: secure ? this.#https : this.#http,
        ...(signal ? { signal } : {}),
      });
      // Told to the body too: all it would learn of a destroyed request is a broken connection, which is tried again.
      let onResponseStall = (_: SampanError) => {};
      const onStall = () => {
        const error = new SampanError('Timeout', `${url.host} sent nothing for ${stallMs / 1000} s`);
        onResponseStall(error);
        request.destroy(error);
      };
      const guard = new StallGuard({ clock, limitMs: stallMs, onStall });
      const fail = (error: unknown) => {
        guard.stop();
        reject(networkError(url, error, signal));
      };
      request.on('error', fail);
      request.on('close', () => guard.stop());
      request.on('response', (response) => {
        guard.progress();
        onResponseStall = (error) => response.destroy(error);
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: guardedBody(response, url, guard, signal),
          discard: () => response.destroy(),
        });
      });
      if (typeof options.body === 'function')
        void sendBody(request, options.body(), guard).catch((error) => request.destroy(error));
      else request.end(options.body);
    });
  }
}

async function* guardedBody(
  response: http.IncomingMessage,
  url: URL,
  guard: StallGuard,
  signal?: AbortSignal,
): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of response) {
      guard.pause();
      yield chunk as Buffer;
      guard.resume();
    }
  } catch (error) {
    throw networkError(url, error, signal);
  } finally {
    guard.stop();
    response.destroy();
  }
}

async function sendBody(request: http.ClientRequest, body: AsyncIterable<Buffer>, guard: StallGuard): Promise<void> {
  const closed = new Promise<void>((resolve) => request.once('close', resolve));
  for await (const chunk of body) {
    if (request.destroyed) return;
    if (!request.write(chunk)) {
      const drained = new Promise<void>((resolve) => request.once('drain', resolve));
      await Promise.race([drained, closed]);
    }
    guard.progress();
  }
  request.end();
}

/** True when the other side evidently does not speak TLS. */
export function isTlsMismatch(error: unknown): boolean {
  const cause = (error as Error).cause as NodeJS.ErrnoException | undefined;
  return cause?.code === 'EPROTO' || (cause?.code ?? '').startsWith('ERR_SSL_') || cause?.code === 'ECONNRESET';
}

function networkError(url: URL, error: unknown, signal?: AbortSignal): unknown {
  if (signal?.aborted) return signal.reason;
  if (isReason(error)) return error;
  const { code } = error as NodeJS.ErrnoException;
  const certificate = /^(CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|ERR_TLS_CERT)/.test(code ?? '');
  const next = certificate ? '; trust its certificate or configure the registry as insecure' : '';
  const what = messageOf(error) || (code ?? 'connection failed');
  return new SampanError(
    'ServiceUnavailable',
    `cannot reach ${url.host}: ${what}${next}`,
    {},
    { cause: error as Error },
  );
}
