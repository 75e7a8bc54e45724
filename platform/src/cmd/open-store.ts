/**
 * The store an instance uses: SQLite in its home, or an etcd that several API servers share (SAMPAN_STORE=etcd).
 * SAMPAN_ETCD_ENDPOINTS: https://host:port of each member, separated by commas; SAMPAN_ETCD_CA_FILE, _CERT_FILE and _KEY_FILE: PEM.
 */
import { join } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';
import type { Logger } from '../base/log.ts';
import { openSqliteStore } from '../store/sqlite/sqlite-store.ts';
import type { Store } from '../store/store.ts';

export interface OpenedStore {
  store: Store;
  /** Other servers may work on it too: secrets are shared and one of them leads. */
  isShared: boolean;
}

/** Throws BadRequest for settings that make no sense, FailedPrecondition when the store cannot be opened. */
export async function openStore(home: string, log: Logger, env: NodeJS.ProcessEnv = process.env): Promise<OpenedStore> {
  const kind = env.SAMPAN_STORE || 'sqlite';
  const endpoints = (env.SAMPAN_ETCD_ENDPOINTS ?? '').split(',').filter(Boolean);
  if (kind === 'sqlite') {
    if (endpoints.length > 0)
      throw new SampanError('BadRequest', 'SAMPAN_ETCD_ENDPOINTS is set, but SAMPAN_STORE is not "etcd"');
    return { store: await openSqliteStore({ file: join(home, 'state.sqlite'), log }), isShared: false };
  }
  if (kind !== 'etcd') throw new SampanError('BadRequest', `SAMPAN_STORE is "${kind}"; wanted sqlite or etcd`);
  if (endpoints.length === 0)
    throw new SampanError('BadRequest', 'SAMPAN_STORE=etcd needs SAMPAN_ETCD_ENDPOINTS, such as https://10.0.0.1:2379');
  const [certFile, keyFile] = [env.SAMPAN_ETCD_CERT_FILE || undefined, env.SAMPAN_ETCD_KEY_FILE || undefined];
  if (!certFile !== !keyFile)
    throw new SampanError('BadRequest', 'SAMPAN_ETCD_CERT_FILE and SAMPAN_ETCD_KEY_FILE go together');
  // Loaded only when it is wanted: gRPC costs a server that does not need it about ten megabytes.
  const { openEtcdStore } = await import('../store/etcd/etcd-store.ts');
  const caFile = env.SAMPAN_ETCD_CA_FILE || undefined;
  return { store: await openEtcdStore({ endpoints, caFile, certFile, keyFile, log }), isShared: true };
}
