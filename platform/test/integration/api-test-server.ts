/** An API server on a memory store in a directory of its own, for tests: nothing runs Pods here, so they stay Pending. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type KubeClient, type KubeObject, resources } from '@sampan/api/client.ts';
import { createHttpsClient } from '@sampan/api/https-client.ts';
import type { Kind } from '@sampan/api/kind.ts';
import { allKinds } from '@sampan/api/kinds/all.ts';
import { type ApiServer, type ApiServerOptions, createApiServer } from '../../src/apiserver/api-server.ts';
import { systemUser } from '../../src/apiserver/auth/user.ts';
import { writeAdminKubeconfig } from '../../src/apiserver/pki/kubeconfig.ts';
import { openPki, type Pki } from '../../src/apiserver/pki/pki.ts';
import type { Clock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { createMemoryStore } from '../../src/store/memory/memory-store.ts';
import type { Store } from '../../src/store/store.ts';
import { httpsTransport } from './https-transport.ts';

export interface TestApiOptions {
  kinds?: Kind[];
  store?: Store;
  clock?: Clock;
  more?: Partial<ApiServerOptions>;
}

export interface TestApi extends AsyncDisposable {
  server: ApiServer;
  store: Store;
  pki: Pki;
  directory: string;
  /** As an admin, in process. */
  client: KubeClient;
  /** Listens on loopback and writes an admin kubeconfig. */
  listen(): Promise<{ url: string; port: number; kubeconfig: string; client: KubeClient }>;
}

/** With the system's namespaces, and a default service account in `default`. */
export async function startTestApi(options: TestApiOptions = {}): Promise<TestApi> {
  const directory = await mkdtemp(join(tmpdir(), 'sampan-api-'));
  const { store = createMemoryStore(), kinds = allKinds, clock } = options;
  const pki = await openPki({ directory: join(directory, 'pki'), addresses: [], names: [] });
  const server = await createApiServer({
    store,
    kinds,
    pki,
    log: silentLogger,
    gateway: () => undefined,
    version: { version: '0.0.0' },
    ...(clock ? { clock } : {}),
    ...options.more,
  });
  const client = server.inProcess(systemUser('system:test'));
  await ensureDefaultAccount(client);
  const closers: (() => void)[] = [];
  return {
    server,
    store,
    pki,
    directory,
    client,
    async listen() {
      const { port } = await server.listen([{ host: '127.0.0.1', port: 0 }]);
      const url = `https://127.0.0.1:${port}`;
      const kubeconfig = join(directory, 'admin.kubeconfig');
      await writeAdminKubeconfig({ pki, server: url, path: kubeconfig });
      const transport = httpsTransport({
        server: url,
        ca: pki.caCertificate,
        clientCertificate: await pki.adminClient(),
      });
      closers.push(() => transport.close());
      return { url, port, kubeconfig, client: createHttpsClient({ transport, fieldManager: 'test' }) };
    },
    async [Symbol.asyncDispose]() {
      for (const close of closers) close();
      await server.close();
      await store.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function ensureDefaultAccount(client: KubeClient): Promise<void> {
  await client
    .create(resources.serviceaccounts, { metadata: { name: 'default', namespace: 'default' } })
    .catch(() => {});
}

export type TestPod = KubeObject & {
  spec: {
    nodeName?: string;
    containers: { name: string; image: string; [field: string]: unknown }[];
    [field: string]: unknown;
  };
  status?: { phase?: string; [field: string]: unknown };
};

/** The least a Pod may be. */
export function testPod(name: string, change: Partial<NonNullable<KubeObject['metadata']>> = {}): TestPod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', ...change },
    spec: { containers: [{ name: 'main', image: 'registry.example/app:1' }] },
  };
}
