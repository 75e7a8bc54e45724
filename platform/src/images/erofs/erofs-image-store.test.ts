import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { filesLayer } from '../../../test/fixtures/images/layer.ts';
import { MemoryRegistry } from '../../../test/fixtures/images/memory-registry.ts';
import { writeTestArchive } from '../../../test/fixtures/images/test-archive.ts';
import { silentLogger } from '../../base/log.ts';
import { runImagesSuite, type SuiteImage } from '../images-suite.ts';
import { createErofsImageStore } from './erofs-image-store.ts';

runImagesSuite('erofs', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'erofs-images-'));
  const registry = await MemoryRegistry.start();
  const open = () => createErofsImageStore({ directory: join(directory, 'store'), log: silentLogger });
  const contentOf = async ({ config = {}, content = '' }: SuiteImage) => ({
    config,
    layers: [await filesLayer({ 'etc/content': content })],
  });
  let archives = 0;
  return {
    store: await open(),
    reopen: open,
    async publish(name, image, auth) {
      const { username = '', password = '' } = auth ?? {};
      if (auth) registry.passwords.set(name.split(':')[0]!, { username, password });
      return registry.publish(name, await contentOf(image));
    },
    async archive(images) {
      const path = join(directory, `archive-${archives++}.tar`);
      await writeTestArchive(
        path,
        await Promise.all(images.map(async (image) => ({ name: image.name, ...(await contentOf(image)) }))),
      );
      return path;
    },
    async [Symbol.asyncDispose]() {
      await registry[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    },
  };
});
