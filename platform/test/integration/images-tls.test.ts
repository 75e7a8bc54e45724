/** Registries behind TLS with a certificate nobody knows: fine on loopback and where configured, refused elsewhere. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { run } from '../../src/base/child.ts';
import { silentLogger } from '../../src/base/log.ts';
import { createErofsImageStore } from '../../src/images/erofs/erofs-image-store.ts';
import { filesLayer } from '../fixtures/images/layer.ts';
import { MemoryRegistry } from '../fixtures/images/memory-registry.ts';

let directory: string;
let tls: { key: Buffer; cert: Buffer };
let stores = 0;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'images-tls-'));
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
  await run('openssl', [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    key,
    '-out',
    cert,
    '-days',
    '2',
    '-subj',
    '/CN=tests',
  ]);
  tls = { key: await readFile(key), cert: await readFile(cert) };
});
after(() => rm(directory, { recursive: true, force: true }));

const newStore = (insecureRegistries: string[] = []) =>
  createErofsImageStore({ directory: join(directory, `store-${stores++}`), log: silentLogger, insecureRegistries });

const otherAddress = Object.values(networkInterfaces())
  .flat()
  .find((address) => address?.family === 'IPv4' && !address.internal)?.address;

const content = async () => ({ layers: [await filesLayer({ a: 'x' })] });

it('on loopback any certificate will do', async () => {
  await using registry = await MemoryRegistry.start({ tls });
  const { reference } = registry.publish('a:1', await content());
  assert.deepEqual((await (await newStore()).pull(reference)).repoTags, [reference]);
});

it('elsewhere an unknown certificate is refused with advice, unless the registry is configured as insecure', async (t) => {
  if (!otherAddress) return t.skip('this machine has no address but loopback');
  await using registry = await MemoryRegistry.start({ tls, address: otherAddress });
  const { reference } = registry.publish('a:1', await content());
  await assert.rejects((await newStore()).pull(reference), {
    reason: 'ServiceUnavailable',
    message: /configure the registry as insecure/,
  });
  assert.deepEqual((await (await newStore([registry.host])).pull(reference)).repoTags, [reference]);
});

it('elsewhere a registry without TLS is never spoken to, unless configured as insecure', async (t) => {
  if (!otherAddress) return t.skip('this machine has no address but loopback');
  await using registry = await MemoryRegistry.start({ address: otherAddress });
  const { reference } = registry.publish('a:1', await content());
  await assert.rejects((await newStore()).pull(reference), { reason: 'ServiceUnavailable' });
  assert.deepEqual(registry.requests, []);
  assert.deepEqual((await (await newStore([registry.host])).pull(reference)).repoTags, [reference]);
});
