/** Pulling from a real registry: Debian's docker-registry, filled by skopeo. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { silentLogger } from '../../src/base/log.ts';
import { createErofsImageStore, type ErofsImageStore } from '../../src/images/erofs/erofs-image-store.ts';
import { buildImage } from '../fixtures/images/build-image.ts';
import { readErofs } from '../fixtures/images/erofs-reader.ts';
import { filesLayer } from '../fixtures/images/layer.ts';
import { ociIndexType, ociManifestType } from '../fixtures/images/memory-registry.ts';
import { writeOciArchive } from '../fixtures/images/oci-archive.ts';
import { type Registry, registryUser, startRegistry } from '../fixtures/images/registry.ts';
import { writeDockerArchive } from '../fixtures/images/test-archive.ts';

let directory: string;
let busybox: string;
let stores = 0;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'images-registry-'));
  busybox = await buildImage('busybox');
});
after(() => rm(directory, { recursive: true, force: true }));

const newStore = (): Promise<ErofsImageStore> =>
  createErofsImageStore({ directory: join(directory, `store-${stores++}`), log: silentLogger, architecture: 'amd64' });

describe('an open registry', () => {
  let registry: Registry;
  before(async () => {
    registry = await startRegistry();
  });
  after(() => registry?.stop());

  it('gives OCI and Docker manifests, gzip and zstd layers: always the same block image', async () => {
    const forms = [
      { format: 'oci', compression: 'gzip' },
      { format: 'oci', compression: 'zstd' },
      { format: 'v2s2', compression: 'gzip' },
    ] as const;
    const paths = new Set<string>();
    for (const form of forms) {
      const store = await newStore();
      const reference = await registry.pushImage(busybox, `form/${form.format}-${form.compression}:1`, form);
      const image = await store.pull(reference);
      assert.deepEqual(image.config.Cmd, ['sh']);
      assert.equal(readErofs(image.blockImagePath).get('bin/sh')?.kind, 'file');
      paths.add(image.blockImagePath.replace(/^.*\//, ''));
    }
    assert.equal(paths.size, 1);
  });

  it('answers NotFound for an unknown tag and an unknown repository', async () => {
    const store = await newStore();
    await registry.pushImage(busybox, 'known:1');
    await assert.rejects(store.pull(`${registry.host}/known:2`), { reason: 'NotFound' });
    await assert.rejects(store.pull(`${registry.host}/unknown:1`), { reason: 'NotFound' });
    assert.equal((await store.usage()).usedBytes, 0);
  });

  it('gives from an index the image for the machine, and the digest of the index', async () => {
    const digest = await pushIndex(registry, directory, ['arm64', 'amd64']);
    const store = await newStore();
    const image = await store.pull(`${registry.host}/multi:1`);
    assert.equal(image.architecture, 'amd64');
    assert.equal(readErofs(image.blockImagePath).get('arch')?.content, 'amd64');
    assert.deepEqual(image.repoDigests, [`${registry.host}/multi@${digest}`]);
    assert.equal((await store.pull(`${registry.host}/multi@${digest}`)).id, image.id);
    const other = await createErofsImageStore({
      directory: join(directory, 'riscv'),
      log: silentLogger,
      architecture: 'riscv64',
    });
    await assert.rejects(other.pull(`${registry.host}/multi:1`), { reason: 'Unsupported', message: /linux\/arm64/ });
  });

  it('does not fetch a layer twice that another image brought', async () => {
    const store = await newStore();
    await store.pull(await registry.pushImage(busybox, 'one:1'));
    await store.remove(`${registry.host}/one:1`);
    const seen: number[] = [];
    await store.pull(await registry.pushImage(busybox, 'two:1'), {
      onProgress: ({ doneBytes }) => seen.push(doneBytes),
    });
    // Resolving, then the layer at once.
    assert.equal(seen.length, 2);
  });

  it('takes an image of docker save, and refuses one whose layers are gone', async () => {
    const archive = join(directory, 'docker.tar');
    await writeDockerArchive(archive, [
      { name: 'saved:1', layers: [await filesLayer({ a: 'saved' })], architecture: 'amd64' },
    ]);
    const store = await newStore();
    await store.import(archive);
    const target = `${registry.host}/saved:1`;
    const { digest } = await store.push(target, { from: 'saved:1' });
    const image = await (await newStore()).pull(`${registry.host}/saved@${digest}`);
    assert.equal(readErofs(image.blockImagePath).get('a')?.content, 'saved');
    await assert.rejects(store.push(`${registry.host}/other:1`), { reason: 'NotFound' });
    const forgetful = await createErofsImageStore({
      directory: join(directory, 'forgetful'),
      log: silentLogger,
      architecture: 'amd64',
      layerCacheBytes: 0,
    });
    await forgetful.import(archive);
    await assert.rejects(forgetful.push(`${registry.host}/other:1`, { from: 'saved:1' }), {
      reason: 'FailedPrecondition',
    });
  });

  it('serves several pulls of one image with one download', async () => {
    const store = await newStore();
    const reference = await registry.pushImage(busybox, 'shared:1');
    const images = await Promise.all([
      store.pull(reference),
      store.pull(reference),
      store.pull(`${registry.host}/shared`.concat(':1')),
    ]);
    assert.equal(new Set(images.map(({ id }) => id)).size, 1);
  });
});

for (const auth of ['basic', 'token'] as const) {
  describe(`a registry with ${auth} authentication`, () => {
    let registry: Registry;
    let reference: string;
    before(async () => {
      registry = await startRegistry({ auth });
      reference = await registry.pushImage(busybox, 'team/private:1');
    });
    after(() => registry?.stop());

    it('gives the image to its user', async () => {
      const image = await (await newStore()).pull(reference, { auth: registryUser });
      assert.deepEqual(image.repoTags, [reference]);
    });

    it('refuses others, also once the image is here', async () => {
      const store = await newStore();
      await assert.rejects(store.pull(reference), { reason: 'Unauthorized' });
      await assert.rejects(store.pull(reference, { auth: { username: 'user', password: 'wrong' } }), {
        reason: 'Unauthorized',
      });
      await store.pull(reference, { auth: registryUser });
      await assert.rejects(store.pull(reference), { reason: 'Unauthorized' });
    });

    it('takes a pushed image from its user only, and gives it back with the same digest', async () => {
      const store = await newStore();
      const [image] = await store.import(busybox);
      const target = `${registry.host}/team/pushed:1`;
      await assert.rejects(store.push(target, { from: image!.id }), { reason: 'Unauthorized' });
      const { digest } = await store.push(target, { from: image!.id, auth: registryUser });
      const pulled = await (await newStore()).pull(target, { auth: registryUser });
      assert.equal(pulled.id, image!.id);
      assert.equal(pulled.repoDigests[0], target.replace(/:1$/, `@${digest}`));
      assert.equal(image!.repoDigests[0]?.split('@')[1], digest);
    });

    if (auth === 'token') {
      it('takes an identity token in the place of a password', async () => {
        const { identityToken } = registry;
        await (await newStore()).pull(reference, { auth: { identityToken: identityToken! } });
        await assert.rejects((await newStore()).pull(reference, { auth: { identityToken: 'other' } }), {
          reason: 'Unauthorized',
        });
      });
    }
  });
}

/** An image per architecture and an index over them, as `multi:1`. Returns the index's digest. */
async function pushIndex(registry: Registry, work: string, architectures: string[]): Promise<string> {
  const manifests = [];
  for (const architecture of architectures) {
    const tar = join(work, `${architecture}-layer.tar`);
    await writeFile(tar, await filesLayer({ arch: architecture }));
    const archive = join(work, `${architecture}.tar`);
    await writeOciArchive(archive, [{ name: 'multi:1', layerTars: [tar], config: {}, architecture }]);
    await registry.pushImage(archive, `multi:${architecture}`);
    const response = await fetch(`http://${registry.host}/v2/multi/manifests/${architecture}`, {
      headers: { accept: ociManifestType },
    });
    const body = await response.text();
    const digest = response.headers.get('docker-content-digest')!;
    manifests.push({ mediaType: ociManifestType, digest, size: body.length, platform: { os: 'linux', architecture } });
  }
  const index = JSON.stringify({ schemaVersion: 2, mediaType: ociIndexType, manifests });
  const response = await fetch(`http://${registry.host}/v2/multi/manifests/1`, {
    method: 'PUT',
    headers: { 'content-type': ociIndexType },
    body: index,
  });
  assert.equal(response.status, 201, await response.text());
  return response.headers.get('docker-content-digest')!;
}
