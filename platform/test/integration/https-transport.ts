/** api/https-client's Transport on node:https: one keep-alive pool of connections with one identity. */
import { Agent, request as send } from 'node:https';
import { SampanError } from '@sampan/api/errors.ts';
import type { Transport } from '@sampan/api/https-client.ts';

export interface HttpsTransportOptions {
  /** https://host:port */
  server: string;
  /** PEM. */
  ca: string;
  clientCertificate?: { certificate: string; key: string };
  token?: string;
}

export interface HttpsTransport extends Transport {
  /** Closes idle connections; running requests end on their own. */
  close(): void;
}

export function httpsTransport({ server, ca, clientCertificate, token }: HttpsTransportOptions): HttpsTransport {
  const agent = new Agent({ ca, cert: clientCertificate?.certificate, key: clientCertificate?.key, keepAlive: true });
  return {
    send: ({ method, path, headers, body, signal }) =>
      new Promise((resolve, reject) => {
        const authorization = token ? { authorization: `Bearer ${token}` } : {};
        // Node frames the body of a DELETE only when told its length.
        const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
        const request = send(new URL(path, server), {
          method,
          headers: { ...headers, ...authorization, ...length },
          agent,
          signal,
        });
        request.on('response', (response) => resolve({ status: response.statusCode ?? 500, body: response }));
        request.on('error', (error) => {
          if (signal?.aborted) return reject(signal.reason);
          const message = `${server} does not answer: ${error.message}`;
          reject(new SampanError('ServiceUnavailable', message, {}, { cause: error }));
        });
        request.end(body);
      }),
    close: () => agent.destroy(),
  };
}
