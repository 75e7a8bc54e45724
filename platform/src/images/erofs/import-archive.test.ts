import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { readErofs } from '../../../test/fixtures/images/erofs-reader.ts';
import { filesLayer, layerTar } from '../../../test/fixtures/images/layer.ts';
import { writeDockerArchive, writeTestArchive } from '../../../test/fixtures/images/test-archive.ts';
import { silentLogger } from '../../base/log.ts';
import { createErofsImageStore, type ErofsImageStore } from './erofs-image-store.ts';

let directory: string;
let store: ErofsImageStore;
let files = 0;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'import-archive-'));
  store = await createErofsImageStore({ directory: join(directory, 'store'), log: silentLogger });
});
after(() => rm(directory, { recursive: true, force: true }));

const newPath = () => join(directory, `archive-${files++}`);

it('what docker save writes is read, with layers that images share', async () => {
  const shared = await filesLayer({ base: 'shared' });
  const path = newPath();
  await writeDockerArchive(path, [
    { name: 'one:1', layers: [shared, await filesLayer({ a: '1' })] },
    { name: 'two:2', layers: [shared, await filesLayer({ b: '2' })] },
  ]);
  const images = await store.import(path);
  assert.deepEqual(
    images.flatMap(({ repoTags }) => repoTags),
    ['docker.io/library/one:1', 'docker.io/library/two:2'],
  );
  const two = readErofs(images[1]!.blockImagePath);
  assert.deepEqual([two.get('base')?.content, two.get('b')?.content], ['shared', '2']);
});

it('an archive may be compressed as a whole', async () => {
  const path = newPath();
  await writeTestArchive(path, [{ name: 'packed:1', layers: [await filesLayer({ a: 'x' })] }]);
  const [plain] = await store.import(path);
  const tar = await readFile(path);
  for (const compressed of [gzipSync(tar), zstdCompressSync(tar)]) {
    await writeFile(path, compressed);
    assert.deepEqual(await store.import(path), [plain]);
  }
});

it('a blob that was tampered with is Invalid, and nothing of the image is here', async () => {
  const path = newPath();
  await writeTestArchive(path, [{ name: 'tampered:1', layers: [await filesLayer({ secret: 'original' })] }]);
  const tar = await readFile(path);
  await writeFile(path, Buffer.from(tar.toString('latin1').replace('original', 'replaced'), 'latin1'));
  await assert.rejects(store.import(path), { reason: 'Invalid', message: /digest/ });
  assert.equal(await store.get('tampered:1'), undefined);
});

it('several images without names cannot get one name', async () => {
  const path = newPath();
  const layer = async (content: string) => ({ layers: [await filesLayer({ content })] });
  await writeTestArchive(path, [await layer('a'), await layer('b')]);
  await assert.rejects(store.import(path, { as: 'x:1' }), { reason: 'Invalid', message: /2 images without a name/ });
});

it('an image for another machine is Unsupported', async () => {
  const path = newPath();
  await writeTestArchive(path, [{ name: 'foreign:1', layers: [], architecture: 's390x' }]);
  await assert.rejects(store.import(path), { reason: 'Unsupported', message: /s390x/ });
});

it('what is no image archive is refused saying why', async () => {
  const path = newPath();
  await assert.rejects(store.import(path), { reason: 'NotFound' });
  await assert.rejects(store.import(directory), { reason: 'Invalid', message: /directory/ });
  await writeFile(path, 'hello');
  await assert.rejects(store.import(path), { reason: 'Invalid' });
  await writeFile(path, gzipSync(Buffer.alloc(3000, 'noise')).subarray(0, 25));
  await assert.rejects(store.import(path), { reason: 'Invalid' });
  await writeFile(path, await layerTar([{ name: 'etc/passwd', content: 'x' }]));
  await assert.rejects(store.import(path), { reason: 'Invalid', message: /neither index.json/ });
  await writeFile(
    path,
    await layerTar([{ name: 'manifest.json', content: '[{"Config":"../../etc/passwd","Layers":[]}]' }]),
  );
  await assert.rejects(store.import(path), { reason: 'Invalid', message: /missing in the archive/ });
});

it('the only image of an archive takes a further name; of several that have names none does, and an archive without any is refused', async () => {
  const [one, two] = [newPath(), newPath()];
  const saved = { name: 'first:1', layers: [await filesLayer({ a: 'name' })] };
  await writeDockerArchive(one, [saved]);
  const [image] = await store.import(one, { as: 'second:2' });
  assert.deepEqual(image?.repoTags, ['docker.io/library/first:1', 'docker.io/library/second:2']);
  await writeDockerArchive(two, [saved, { ...saved, name: 'third:3' }]);
  await assert.rejects(store.import(two, { as: 'x:1' }), { reason: 'Invalid', message: /has 2 images, and only one/ });
  await writeDockerArchive(two, []);
  await assert.rejects(store.import(two), { reason: 'Invalid', message: /has no image/ });
});
