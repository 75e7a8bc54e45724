import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type KubeObject, resources } from '@sampan/api/client.ts';
import { isReason } from '@sampan/api/errors.ts';
import { sharedStore } from '../../test/fixtures/shared-store.ts';
import { startTestApi } from '../../test/integration/api-test-server.ts';
import { silentLogger } from '../base/log.ts';
import { createMemoryStore } from '../store/memory/memory-store.ts';
import { withSecretEncryption } from './secret-encryption.ts';

let directory: string;
const keyFile = async (name: string, ...keys: Buffer[]) => {
  const path = join(directory, name);
  await writeFile(path, keys.map((key) => `${key.toString('base64')}\n`).join(''));
  return path;
};
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sampan-keys-'));
});
after(() => rm(directory, { recursive: true, force: true }));

const password = Buffer.from('hunter2').toString('base64');
const secret = (name: string) => ({ metadata: { name, namespace: 'default' }, data: { password } }) as KubeObject;

test('Secrets are read through the API as ever and lie encrypted in the store, from one key to the next', async () => {
  const store = createMemoryStore();
  const [first, second] = [randomBytes(32), randomBytes(32)];
  const stored = async (name: string) =>
    Buffer.from((await store.get(`/registry/core/secrets/default/${name}`))!.value).toString();
  const start = async (path?: string) =>
    startTestApi({ store: sharedStore(await withSecretEncryption(store, path, silentLogger)) });
  const read = async (api: Awaited<ReturnType<typeof start>>, name: string) =>
    (await api.client.get<KubeObject & { data: object }>(resources.secrets, name, 'default')).data;
  {
    await using plain = await start();
    await plain.client.create(resources.secrets, secret('old'));
    assert.match(await stored('old'), new RegExp(password));
  }
  {
    await using encrypted = await start(await keyFile('one', first));
    await encrypted.client.create(resources.secrets, secret('new'));
    await encrypted.client.create(resources.configmaps, secret('open'));
    for (const name of ['old', 'new']) {
      assert.doesNotMatch(await stored(name), new RegExp(password));
      assert.deepEqual(await read(encrypted, name), { password });
    }
  }
  await assert.rejects(
    start(),
    (error) =>
      isReason(error, 'FailedPrecondition') &&
      /name the file that holds it in SAMPAN_ENCRYPTION_KEY_FILE/.test(error.message),
  );
  await assert.rejects(
    start(await keyFile('other', second)),
    /is encrypted with key [0-9a-f]{8}, which is not at hand/,
  );
  {
    await using rotated = await start(await keyFile('both', second, first));
    assert.deepEqual(await read(rotated, 'old'), { password });
  }
  await using after = await start(await keyFile('two', second));
  assert.deepEqual(await read(after, 'new'), { password });
});
