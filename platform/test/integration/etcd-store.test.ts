/** The etcd driver against real etcds: Debian's 3.4 and a newer one. */
import { describe, it } from 'node:test';
import { silentLogger } from '../../src/base/log.ts';
import { openEtcdStore } from '../../src/store/etcd/etcd-store.ts';
import { storeSuite } from '../../src/store/store-suite.ts';
import { debianEtcd, newEtcd, startEtcd } from './support/etcd-lab.ts';

const debian = debianEtcd();
const newer = await newEtcd();

run('etcd 3.4', debian, 'the Debian package etcd-server is not installed');
run('etcd 3.6', newer.path, newer.missing ?? '');

function run(name: string, binary: string | undefined, missing: string): void {
  if (!binary) {
    it(`the store suite on ${name}`, (t) => t.skip(missing));
    return;
  }
  describe(name, () => {
    storeSuite(name, async ({ maxEvents }) => {
      const etcd = await startEtcd({ binary });
      const watchLimits = { maxEvents, maxBytes: 64 << 20 };
      const store = await openEtcdStore({ endpoints: [etcd.endpoint], log: silentLogger, watchLimits });
      return {
        store,
        async dispose() {
          await store.close();
          await etcd.dispose();
        },
      };
    });
  });
}
