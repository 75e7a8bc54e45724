/** A store whose files were damaged, by a crash or by hand, opens all the same. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { filesLayer } from '../../../test/fixtures/images/layer.ts';
import { MemoryRegistry } from '../../../test/fixtures/images/memory-registry.ts';
import { silentLogger } from '../../base/log.ts';
import { createErofsImageStore, type ErofsImageStore } from './erofs-image-store.ts';

async function withImage(
  body: (given: {
    directory: string;
    reference: string;
    id: string;
    open: () => Promise<ErofsImageStore>;
  }) => Promise<void>,
) {
  await using registry = await MemoryRegistry.start();
  const directory = await mkdtemp(join(tmpdir(), 'damaged-store-'));
  const open = () => createErofsImageStore({ directory, log: silentLogger });
  try {
    const { reference } = registry.publish('a:1', { layers: [await filesLayer({ a: 'x' })] });
    const { id } = await (await open()).pull(reference);
    await body({ directory, reference, id, open });
  } finally {
    await rm(directory, { recursive: true });
  }
}

it('a broken record is forgotten together with its block image, and the image can be pulled again', () =>
  withImage(async ({ directory, reference, id, open }) => {
    await writeFile(join(directory, 'images', `${id.slice(7)}.json`), '{"version":1');
    const store = await open();
    assert.deepEqual(await store.list(), []);
    assert.deepEqual(await readdir(join(directory, 'block')), []);
    assert.equal((await store.pull(reference)).id, id);
  }));

it('an image whose block image is gone is forgotten', () =>
  withImage(async ({ directory, reference, id, open }) => {
    await rm(join(directory, 'block'), { recursive: true });
    const store = await open();
    assert.deepEqual(await store.list(), []);
    assert.equal((await store.pull(reference)).id, id);
  }));

it('leftovers in any directory are cleared away', () =>
  withImage(async ({ directory, id, open }) => {
    await mkdir(join(directory, 'work/import-x'), { recursive: true });
    await writeFile(join(directory, 'work/block-x'), 'x');
    await writeFile(join(directory, 'block', `${'0'.repeat(64)}.erofs`), 'x');
    await writeFile(join(directory, 'images/x.json.123.tmp'), 'x');
    await writeFile(join(directory, 'pins/x.123.tmp'), 'x');
    await writeFile(join(directory, 'pins/broken'), '[]');
    const store = await open();
    assert.deepEqual(
      (await store.list()).map((image) => image.id),
      [id],
    );
    const left = await Promise.all(['work', 'block', 'images', 'pins'].map((name) => readdir(join(directory, name))));
    assert.deepEqual(
      left.map((names) => names.length),
      [0, 1, 1, 0],
    );
  }));

it('a kept layer that was damaged is fetched anew by the second pull at the latest', () =>
  withImage(async ({ directory, reference, id, open }) => {
    await (await open()).remove(id);
    const [blob] = await readdir(join(directory, 'blobs'));
    await writeFile(join(directory, 'blobs', blob!), Buffer.alloc(20), { flag: 'r+' });
    const store = await open();
    await assert.rejects(store.pull(reference), { reason: 'Invalid' });
    assert.equal((await store.pull(reference)).id, id);
    await store.remove(id);
    await truncate(join(directory, 'blobs', blob!), 10);
    assert.equal((await store.pull(reference)).id, id);
  }));
