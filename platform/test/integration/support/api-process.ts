/**
 * An API server in a process of its own, without a node: `api-process.ts <home> [--controllers]`. SAMPAN_STORE says over which store.
 * Prints one line of JSON when it serves: its URL and the admin's kubeconfig. SIGTERM ends it.
 */
import { join } from 'node:path';
import { allKinds } from '@sampan/api/kinds/all.ts';
import { createApiServer } from '../../../src/apiserver/api-server.ts';
import { componentUser } from '../../../src/apiserver/auth/rbac/component-roles.ts';
import { writeAdminKubeconfig } from '../../../src/apiserver/pki/kubeconfig.ts';
import { openPki } from '../../../src/apiserver/pki/pki.ts';
import { sharedSecrets } from '../../../src/apiserver/pki/shared-secrets.ts';
import { createLogger } from '../../../src/base/log.ts';
import { openStore } from '../../../src/cmd/open-store.ts';

const home = process.argv[2]!;
const log = createLogger({ level: process.env.SAMPAN_LOG_LEVEL ?? 'error' });
const { store, isShared } = await openStore(home, log);
const pki = await openPki({
  directory: join(home, 'pki'),
  addresses: [],
  names: [],
  ...(isShared && { shared: sharedSecrets(store) }),
});
const server = await createApiServer({
  store,
  kinds: allKinds,
  pki,
  log,
  gateway: () => undefined,
  version: { version: '0.0.0' },
});
const controllers = process.argv.includes('--controllers') ? await electable() : undefined;
await controllers?.start();
const { port } = await server.listen([{ host: '127.0.0.1', port: 0 }]);
const url = `https://127.0.0.1:${port}`;
const kubeconfig = join(home, 'admin.kubeconfig');
await writeAdminKubeconfig({ pki, server: url, path: kubeconfig });

// Before anybody hears of it: who stops it at once is waited for, and the lease given back.
process.on('SIGTERM', async () => {
  await controllers?.close();
  await server.close();
  await store.close();
  process.exit(0);
});
process.stdout.write(`${JSON.stringify({ url, kubeconfig })}\n`);

/** Loaded only when they are wanted: without them this is a bare API server. */
async function electable() {
  const { createControllers } = await import('../../../src/controllers/controllers.ts');
  const { electedControllers } = await import('../../../src/controllers/elected-controllers.ts');
  return electedControllers({
    client: server.inProcess(componentUser('system:kube-controller-manager')),
    log,
    make: (fence) =>
      createControllers({
        clientFor: (component) => fence(server.inProcess(componentUser(component))),
        log,
        kinds: allKinds,
        namespaced: allKinds.filter((kind) => kind.ref.namespaced).map((kind) => kind.ref),
        caCertificate: pki.caCertificate,
      }),
  });
}
