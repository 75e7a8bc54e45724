import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { SampanError } from '@sampan/api/errors.ts';
import { runImagesSuite } from '../images-suite.ts';
import { FakeImageStore } from './fake-image-store.ts';

runImagesSuite('fake', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'fake-images-'));
  const store = new FakeImageStore();
  return {
    store,
    async publish(name, image, auth) {
      const reference = `registry.test/${name}`;
      return { reference, digest: store.publish(reference, { ...image, ...(auth ? { auth } : {}) }) };
    },
    async archive(images) {
      const path = join(directory, `archive-${images.length}`);
      await writeFile(path, JSON.stringify(images));
      return path;
    },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
});

it('a fake store fails pulls as told', async () => {
  const store = new FakeImageStore({ everythingExists: true });
  store.failPulls('nginx', new SampanError('Timeout', 'stalled'));
  await assert.rejects(store.pull('nginx'), { reason: 'Timeout' });
  store.failPulls('nginx', undefined);
  assert.deepEqual((await store.pull('nginx')).repoTags, ['docker.io/library/nginx:latest']);
  assert.equal(store.pulls.length, 2);
});
