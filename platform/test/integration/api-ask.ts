/** Plain HTTPS requests to a test API, as its admin or as whom one likes. */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Agent, type RequestOptions, request } from 'node:https';
import { gunzipSync } from 'node:zlib';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import type { ApiServerOptions } from '../../src/apiserver/api-server.ts';
import { createMemoryStore } from '../../src/store/memory/memory-store.ts';
import { startTestApi, type TestApi, testPod } from './api-test-server.ts';

export interface Answer {
  status: number;
  headers: IncomingMessage['headers'];
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  json: any;
}

export interface Ask extends RequestOptions {
  body?: string | Buffer;
}

export interface ServedApi extends AsyncDisposable {
  api: TestApi;
  served: Awaited<ReturnType<TestApi['listen']>>;
  /** Connections with the admin's certificate, and with none. */
  admin: Agent;
  nobody: Agent;
  ask(path: string, options?: Ask): Promise<Answer>;
  post(path: string, object: object, more?: Ask): Promise<Answer>;
}

export const inDefault = '/api/v1/namespaces/default';

/**
 * Its store has a past, so that there are versions from before the server's time. A Pod `shown` and a ConfigMap `large` of 200,000 bytes
 * are there.
 */
export async function serveTestApi(more: Partial<ApiServerOptions> = {}): Promise<ServedApi> {
  const store = createMemoryStore();
  for (let i = 0; i < 5; i++) await store.commit([{ key: '/other', value: Buffer.from(String(i)) }]);
  const api = await startTestApi({ store, more });
  const served = await api.listen();
  await api.client.create(resources.pods, testPod('shown'));
  const large = { metadata: { name: 'large', namespace: 'default' }, data: { a: 'x'.repeat(200_000) } };
  await api.client.create(resources.configmaps, large as KubeObject);
  const { certificate, key } = await api.pki.adminClient();
  const admin = new Agent({ ca: api.pki.caCertificate, cert: certificate, key, keepAlive: true });
  const nobody = new Agent({ ca: api.pki.caCertificate });

  async function ask(path: string, { body, ...options }: Ask = {}): Promise<Answer> {
    const sent = request(new URL(path, served.url), { agent: admin, ...options });
    sent.end(body);
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    return readAnswer(response);
  }

  return {
    api,
    served,
    admin,
    nobody,
    ask,
    post: (path, object, more = {}) =>
      ask(path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(object),
        ...more,
      }),
    async [Symbol.asyncDispose]() {
      admin.destroy();
      nobody.destroy();
      await api[Symbol.asyncDispose]();
    },
  };
}

async function readAnswer(response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  let bytes = Buffer.concat(chunks);
  if (response.headers['content-encoding'] === 'gzip') bytes = gunzipSync(bytes);
  const text = bytes.toString();
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {}
  return { status: response.statusCode ?? 0, headers: response.headers, text, json };
}
