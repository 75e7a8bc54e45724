/**
 * The public registries' names, answered by a registry of ours on loopback: /etc/hosts says so in a mount namespace which this process and its
 * children are alone in. So the programs tested pull by the names they know, over HTTPS.
 */
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../platform/src/base/child.ts';
import { pushArchive, startRegistry } from '../../platform/test/fixtures/images/registry.ts';
import { critestImages } from './images.ts';

export const registryNames = ['registry.k8s.io', 'gcr.io'];
const address = '127.0.91.1';
const inside = 'SAMPAN_CRITEST_INSIDE';

/**
 * Runs this program again in a mount namespace of its own and ends as that does; returns at once when it is in one. Its mounts are shared among themselves, as a
 * host's are: what is unmounted goes wherever it was bound to.
 */
export function enterMountNamespace(): void {
  if (process.env[inside]) return;
  const shared = 'mount --make-rshared / && exec "$@"';
  const script = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const command = ['--mount', '--propagation', 'slave', 'sh', '-c', shared, 'sh', ...script];
  const { status, error } = spawnSync('unshare', command, { stdio: 'inherit', env: { ...process.env, [inside]: '1' } });
  if (error) throw error;
  process.exit(status ?? 1);
}

/** Serves critest's images until it is disposed. */
export async function serveRegistries(): Promise<AsyncDisposable> {
  const directory = await mkdtemp(join(tmpdir(), 'sampan-critest-hosts-'));
  const cleanUp = new AsyncDisposableStack();
  cleanUp.defer(() => rm(directory, { recursive: true, force: true }));
  try {
    const tls = { certificate: join(directory, 'tls.crt'), key: join(directory, 'tls.key') };
    const names = registryNames.map((name) => `DNS:${name}`).join(',');
    const certificate = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-days',
      '2',
    ];
    const subject = ['-subj', '/CN=registry of tests', '-addext', `subjectAltName=${names}`];
    await run('openssl', [...certificate, ...subject, '-keyout', tls.key, '-out', tls.certificate]);
    const registry = cleanUp.use(await startRegistry({ host: `${address}:443`, tls }));
    for (const [name, archive] of await critestImages()) await pushArchive(archive, `${registry.host}/${name}`);
    const hosts = join(directory, 'hosts');
    await writeFile(hosts, `${await readFile('/etc/hosts', 'utf8')}\n${address} ${registryNames.join(' ')}\n`);
    await run('mount', ['--bind', hosts, '/etc/hosts']);
    cleanUp.defer(async () => void (await run('umount', ['/etc/hosts'])));
    return cleanUp;
  } catch (error) {
    await cleanUp.disposeAsync();
    throw error;
  }
}
