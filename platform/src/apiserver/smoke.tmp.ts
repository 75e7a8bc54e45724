import { resources } from '@sampan/api/client.ts';
import { allKinds } from '@sampan/api/kinds/all.ts';
import { createLogger } from '../base/log.ts';
import { createMemoryStore } from '../store/memory/memory-store.ts';
import { createApiServer } from './api-server.ts';
import { systemUser } from './auth/user.ts';
import { writeAdminKubeconfig } from './pki/kubeconfig.ts';
import { openPki } from './pki/pki.ts';

const kinds = allKinds;
const pki = await openPki({ directory: '/tmp/apiserver/pki', addresses: [], names: [] });
const server = await createApiServer({
  store: createMemoryStore(),
  kinds,
  log: createLogger({ level: 'debug' }),
  gateway: () => undefined,
  pki,
  version: { version: '0.1.0' },
});
const { port } = await server.listen([{ host: '127.0.0.1', port: Number(process.env.PORT ?? 0) }]);
await writeAdminKubeconfig({ pki, server: `https://127.0.0.1:${port}`, path: '/tmp/apiserver/admin.kubeconfig' });
const c = server.inProcess(systemUser('system:me'));
await c.create(resources.serviceaccounts, { metadata: { name: 'default', namespace: 'default' } });
console.log('port', port);
for (let i = 0; i < 3; i++) {
  const t = performance.now();
  await c.create(resources.pods, {
    metadata: { name: 'p' + i, namespace: 'default' },
    spec: { containers: [{ name: 'a', image: 'x' }] },
  } as any);
  console.log(performance.now() - t);
}
process.on('SIGTERM', () => void server.close().then(() => process.exit(0)));
