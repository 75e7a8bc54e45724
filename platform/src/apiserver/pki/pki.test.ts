import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { isReason } from '@sampan/api/errors.ts';
import { parse } from 'yaml';
import { FakeClock } from '../../base/clock.ts';
import { createMemoryStore } from '../../store/memory/memory-store.ts';
import { writeAdminKubeconfig } from './kubeconfig.ts';
import { openPki } from './pki.ts';
import { sharedSecrets } from './shared-secrets.ts';

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sampan-pki-'));
});
after(() => rm(directory, { recursive: true, force: true }));

const dayMs = 86_400_000;
const open = (more: object = {}) => openPki({ directory, addresses: ['192.0.2.7'], names: ['box'], ...more });

test("the serving certificate is the CA's, for all its names, and stays while it fits", async () => {
  const pki = await open();
  const { certificate } = await pki.serving();
  const x509 = new X509Certificate(certificate);
  assert.ok(x509.verify(new X509Certificate(pki.caCertificate).publicKey));
  for (const name of ['localhost', 'box', 'kubernetes.default.svc']) assert.ok(x509.checkHost(name), name);
  for (const address of ['127.0.0.1', '192.0.2.7', '::1']) assert.ok(x509.checkIP(address), address);
  assert.equal((await (await open()).serving()).certificate, certificate);
});

test('a new address makes a new serving certificate under the same CA', async () => {
  const before = await open();
  const old = (await before.serving()).certificate;
  const later = await open({ addresses: ['192.0.2.8'] });
  assert.notEqual((await later.serving()).certificate, old);
  assert.equal(later.caCertificate, before.caCertificate);
});

test('certificates are renewed before they end, tokens and authorities are kept', async () => {
  const clock = new FakeClock(Date.now());
  const pki = await open({ clock });
  const old = await pki.serving();
  const oldAdmin = await pki.adminClient();
  await clock.advance(330 * dayMs);
  assert.notEqual((await pki.serving()).certificate, old.certificate);
  assert.notEqual((await pki.adminClient()).certificate, oldAdmin.certificate);
  assert.equal((await open({ clock })).adminToken, pki.adminToken);
});

test('nobody else can read a key or a token', async () => {
  const pki = await open();
  await pki.adminClient();
  const path = join(directory, 'admin.kubeconfig');
  await writeAdminKubeconfig({ pki, server: 'https://127.0.0.1:1', path });
  const secrets = (await readdir(directory)).filter((name) => /\.(key|token|kubeconfig)$/.test(name));
  assert.ok(secrets.length >= 6);
  for (const name of secrets) assert.equal((await stat(join(directory, name))).mode & 0o777, 0o600, name);
  const config = parse(await readFile(path, 'utf8'));
  assert.equal(
    Buffer.from(config.clusters[0].cluster['certificate-authority-data'], 'base64').toString(),
    pki.caCertificate,
  );
});

test('a certificate whose key is lost is made anew', async () => {
  const old = await (await open()).serving();
  await rm(join(directory, 'serving.key'));
  const fresh = await (await open()).serving();
  assert.notEqual(fresh.certificate, old.certificate);
});

test('servers over one store have the same authorities, signing key and token, and certificates of their own', async () => {
  const store = createMemoryStore();
  const at = (name: string) => open({ directory: join(directory, name), shared: sharedSecrets(store) });
  // Both start at the same moment.
  const [one, other] = await Promise.all([at('one'), at('other')]);
  const alike = ['caCertificate', 'clientCaCertificate', 'serviceAccountKey', 'adminToken'] as const;
  for (const name of alike) assert.equal(one[name], other[name], name);
  assert.notEqual((await one.serving()).certificate, (await other.serving()).certificate);
  assert.equal((await at('one')).serviceAccountKey, one.serviceAccountKey);
  const third = await open({ directory: join(directory, 'one') });
  for (const name of alike) assert.equal(third[name], one[name], `${name} is also in the directory`);
});

test('a server with authorities of its own is refused by the others', async () => {
  const shared = sharedSecrets(createMemoryStore());
  await open({ directory: join(directory, 'first'), shared });
  const strange = { directory: join(directory, 'strange') };
  await open(strange);
  await assert.rejects(open({ ...strange, shared }), (error) => {
    assert.ok(isReason(error, 'FailedPrecondition'));
    assert.match(error.message, /"ca" key is not the one of the other servers/);
    return true;
  });
});
