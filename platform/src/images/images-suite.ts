/** What every image store has to do, run against each driver. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { isReason, type Reason } from '@sampan/api/errors.ts';
import type { Image, ImageConfig, ImageStore, PullProgress, RegistryAuth } from './images.ts';

export interface SuiteImage {
  config?: ImageConfig;
  /** Makes images of the same config differ. */
  content?: string;
}

/** A store and registries it can reach. */
export interface ImagesHarness extends AsyncDisposable {
  store: ImageStore;
  /** Puts an image into a registry as `repo:tag`. */
  publish(name: string, image: SuiteImage, auth?: RegistryAuth): Promise<{ reference: string; digest: string }>;
  archive(images: (SuiteImage & { name?: string })[]): Promise<string>;
  /** The same store as a restarted server would open it; undefined when the driver keeps nothing. */
  reopen?(): Promise<ImageStore>;
}

const refuses = (promise: Promise<unknown>, ...reasons: Reason[]) =>
  assert.rejects(promise, (error: unknown) => {
    assert.ok(isReason(error, ...reasons), `wanted ${reasons}, got ${error}`);
    return true;
  });

const config: ImageConfig = {
  User: 'www',
  Env: ['A=b'],
  Entrypoint: ['/bin/tool'],
  Cmd: ['run', '--fast'],
  WorkingDir: '/srv',
  StopSignal: 'SIGINT',
  ExposedPorts: { '80/tcp': {} },
  Volumes: { '/data': {} },
  Labels: { team: 'one' },
};

export function runImagesSuite(driver: string, open: () => Promise<ImagesHarness>): void {
  const test = (name: string, body: Body) =>
    it(name, async (t) => {
      await using harness = await open();
      await body(harness, t);
    });

  describe(`images: ${driver}`, () => {
    pulling(test);
    names(test);
    removing(test);
    pins(test);
    archives(test);
    restarts(test);
  });
}

type Body = (harness: ImagesHarness, t: TestContext) => Promise<void>;
type Test = (name: string, body: Body) => void;

function pulling(test: Test): void {
  test('a pulled image has its config, tag, digest, and a block image', async ({ store, publish }) => {
    const { reference, digest } = await publish('team/tool:1', { config });
    const image = await store.pull(reference);
    assert.deepEqual(image.config, config);
    assert.deepEqual(image.repoTags, [reference]);
    assert.deepEqual(image.repoDigests, [reference.replace(/:1$/, `@${digest}`)]);
    assert.match(image.id, /^sha256:[0-9a-f]{64}$/);
    assert.match(image.blockImagePath, /^\/.*\.erofs$/);
    assert.equal(image.os, 'linux');
    assert.ok(image.sizeBytes > 0);
    assert.deepEqual(await store.list(), [image]);
  });

  test('pulling again changes nothing', async ({ store, publish }) => {
    const { reference } = await publish('team/tool:1', { config });
    assert.deepEqual(await store.pull(reference), await store.pull(reference));
    assert.equal((await store.usage()).images, 1);
  });

  test('an image can be pulled by its digest, and then has no tag', async ({ store, publish }) => {
    const { reference, digest } = await publish('team/tool:1', {});
    const byDigest = reference.replace(/:1$/, `@${digest}`);
    const image = await store.pull(byDigest);
    assert.deepEqual(image.repoTags, []);
    assert.deepEqual(image.repoDigests, [byDigest]);
    assert.equal((await store.get(byDigest))?.id, image.id);
  });

  test('a name that no registry knows is NotFound, and leaves nothing behind', async ({ store, publish }) => {
    const { reference } = await publish('team/tool:1', {});
    await refuses(store.pull(reference.replace(/:1$/, ':2')), 'NotFound');
    assert.deepEqual(await store.list(), []);
  });

  test('a private image needs its credentials', async ({ store, publish }) => {
    const auth = { username: 'me', password: 'secret' };
    const { reference } = await publish('private/tool:1', {}, auth);
    await refuses(store.pull(reference), 'Unauthorized');
    await refuses(store.pull(reference, { auth: { username: 'me', password: 'wrong' } }), 'Unauthorized');
    assert.deepEqual((await store.pull(reference, { auth })).repoTags, [reference]);
  });

  test('a name that is none is Invalid', async ({ store }) => {
    for (const name of ['', 'UPPER', 'a b', 'a@sha256:12', '-a', 'a:']) await refuses(store.pull(name), 'Invalid');
  });

  test('a pull that is called off before it starts rejects with the reason', async ({ store, publish }) => {
    const { reference } = await publish('team/tool:1', {});
    const reason = new Error('called off');
    await assert.rejects(store.pull(reference, { signal: AbortSignal.abort(reason) }), reason);
  });

  test('progress goes from resolving to converting and never counts more than there is', async ({ store, publish }) => {
    const { reference } = await publish('team/tool:1', {});
    const seen: PullProgress[] = [];
    await store.pull(reference, { onProgress: (progress) => seen.push({ ...progress }) });
    assert.equal(seen[0]?.phase, 'resolving');
    assert.equal(seen.at(-1)?.phase, 'converting');
    for (const { doneBytes, totalBytes } of seen) assert.ok(doneBytes <= totalBytes);
  });

  test('many callers at once get the same image', async ({ store, publish }) => {
    const { reference } = await publish('team/tool:1', { config });
    const images = await Promise.all(Array.from({ length: 8 }, () => store.pull(reference)));
    for (const image of images) assert.equal(image.id, images[0]?.id);
    assert.equal((await store.list()).length, 1);
  });
}

function names(test: Test): void {
  test('an image is found by tag, digest, id and a prefix of the id', async ({ store, publish }) => {
    const { reference } = await publish('team/tool:1', {});
    const image = await store.pull(reference);
    const hex = image.id.slice('sha256:'.length);
    for (const name of [reference, image.repoDigests[0]!, image.id, hex, hex.slice(0, 12)]) {
      assert.equal((await store.get(name))?.id, image.id, name);
    }
    assert.equal(await store.get(hex.slice(0, 11)), undefined);
    assert.equal(await store.get(`${reference}-other`), undefined);
  });

  test('a tag without a name of a registry means Docker\'s, and "latest"', async ({ store, archive }) => {
    await store.import(await archive([{ name: 'nginx' }]));
    for (const name of [
      'nginx',
      'nginx:latest',
      'library/nginx',
      'docker.io/nginx',
      'index.docker.io/library/nginx:latest',
    ]) {
      assert.deepEqual((await store.get(name))?.repoTags, ['docker.io/library/nginx:latest'], name);
    }
  });

  test('a tag that moved in the registry moves here with the next pull', async ({ store, publish }) => {
    const { reference } = await publish('team/tool:1', { content: 'old' });
    const old = await store.pull(reference);
    await publish('team/tool:1', { content: 'new' });
    const fresh = await store.pull(reference);
    assert.notEqual(fresh.id, old.id);
    assert.equal((await store.get(reference))?.id, fresh.id);
    assert.deepEqual((await store.get(old.id))?.repoTags, []);
  });
}

function removing(test: Test): void {
  test('removing one of two tags keeps the image, removing the last one removes it', async ({ store, publish }) => {
    const one = await publish('team/tool:1', { config });
    const two = await publish('team/tool:2', { config });
    const { id } = await store.pull(one.reference);
    await store.pull(two.reference);
    await store.remove(one.reference);
    assert.deepEqual((await store.get(id))?.repoTags, [two.reference]);
    await store.remove(two.reference);
    assert.equal(await store.get(id), undefined);
    assert.equal((await store.usage()).images, 0);
  });

  test('removing by id removes the image with all its tags', async ({ store, publish }) => {
    const one = await publish('team/tool:1', {});
    const two = await publish('team/tool:2', {});
    const { id } = await store.pull(one.reference);
    await store.pull(two.reference);
    await store.remove(id);
    assert.deepEqual(await store.list(), []);
  });

  test('removing what is not there is no error', async ({ store }) => {
    await store.remove('nginx:1');
    await store.remove(`sha256:${'0'.repeat(64)}`);
  });
}

function pins(test: Test): void {
  test('a pinned image cannot be removed until every user has let go', async ({ store, publish }) => {
    const { reference } = await publish('team/tool:1', {});
    const { id } = await store.pull(reference);
    await store.pin(id, 'sandbox-a');
    await store.pin(id, 'sandbox-a');
    await store.pin(id, 'sandbox-b');
    await refuses(store.remove(id), 'FailedPrecondition');
    await store.unpin('sandbox-a');
    await refuses(store.remove(reference), 'FailedPrecondition');
    await store.unpin('sandbox-b');
    await store.unpin('sandbox-b');
    await store.remove(id);
    assert.deepEqual(await store.list(), []);
  });

  test('a pinned image may lose one tag of several', async ({ store, publish }) => {
    const one = await publish('team/tool:1', {});
    const two = await publish('team/tool:2', {});
    const { id } = await store.pull(one.reference);
    await store.pull(two.reference);
    await store.pin(id, 'sandbox-a');
    await store.remove(one.reference);
    assert.deepEqual((await store.get(id))?.repoTags, [two.reference]);
  });

  test('pinning what is not there is NotFound', async ({ store }) => {
    await refuses(store.pin(`sha256:${'0'.repeat(64)}`, 'sandbox-a'), 'NotFound');
  });
}

function archives(test: Test): void {
  test('an archive brings all its images under their names', async ({ store, archive }) => {
    const path = await archive([
      { name: 'example.com/a/one:1', config, content: 'one' },
      { name: 'example.com/a/two:2', content: 'two' },
    ]);
    const images = await store.import(path);
    assert.deepEqual(images.map(({ repoTags }) => repoTags).sort(), [['example.com/a/one:1'], ['example.com/a/two:2']]);
    assert.deepEqual((await store.get('example.com/a/one:1'))?.config, config);
  });

  test('an image that the archive does not name gets the name asked for', async ({ store, archive }) => {
    const path = await archive([{ content: 'nameless' }]);
    const [image] = await store.import(path, { as: 'mine:1' });
    assert.deepEqual(image?.repoTags, ['docker.io/library/mine:1']);
  });

  test('an image without any name is there by its id', async ({ store, archive }) => {
    const [image] = await store.import(await archive([{ content: 'nameless' }]));
    assert.deepEqual(image?.repoTags, []);
    assert.equal((await store.get(image!.id))?.id, image!.id);
  });
}

function restarts(test: Test): void {
  test('images, tags and pins are still there after a restart', async (harness, t) => {
    const { store, publish } = harness;
    if (!harness.reopen) return t.skip('this driver keeps nothing on disk');
    const { reference } = await publish('team/tool:1', { config });
    const image = await store.pull(reference);
    await store.pin(image.id, 'sandbox-a');
    const again = await harness.reopen();
    const listed: Image[] = await again.list();
    assert.deepEqual(listed, [image]);
    await refuses(again.remove(image.id), 'FailedPrecondition');
    await again.unpin('sandbox-a');
    await again.remove(image.id);
    assert.deepEqual(await (await harness.reopen()).list(), []);
  });
}
