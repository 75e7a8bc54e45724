import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { PodSpec, Volume } from 'kubernetes-types/core/v1.js';
import { FakeClock } from '../base/clock.ts';
import { writeVolume } from './atomic-writer.ts';
import { PodVolumes } from './pod-volumes.ts';
import type { PodFacts } from './sources.ts';

const base64 = (text: string) => Buffer.from(text).toString('base64');
const isRoot = process.getuid?.() === 0;

describe('the volumes of a Pod', () => {
  let root: string;
  let count = 0;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'sampan-volumes-'));
  });
  after(() => rm(root, { recursive: true, force: true }));

  const maps: Record<string, object> = { settings: { data: { a: '1', b: '2' }, binaryData: { c: base64('\0\x01') } } };
  const secrets: Record<string, object> = { keys: { data: { key: base64('s3cret') } } };
  let tokens = 0;
  const clock = new FakeClock();
  const volumes = new PodVolumes({
    objects: {
      configMap: async (_, name) => maps[name],
      secret: async (_, name) => secrets[name],
    },
    requestToken: async (namespace, account, { audience, expirationSeconds, pod }) => ({
      token: `${namespace}/${account}/${audience}/${pod.name}/${tokens++}`,
      expirationTimestamp: new Date(clock.now() + expirationSeconds * 1000).toISOString(),
    }),
    clock,
  });

  function facts(volume: Volume, spec: Partial<PodSpec> = {}): PodFacts {
    return {
      pod: {
        metadata: { name: 'p', namespace: 'n', uid: `uid-${count}`, labels: { app: 'x', tier: 'y "z"' } },
        spec: {
          containers: [{ name: 'c', resources: { limits: { memory: '64Mi' }, requests: { cpu: '250m' } } }],
          volumes: [volume],
          ...spec,
        },
      },
      nodeName: 'node',
      hostIPs: ['192.0.2.1'],
      podIPs: [],
      machine: { cpuMillicores: 500, memoryBytes: 512 * 1024 ** 2, ephemeralStorageBytes: 0 },
    };
  }

  /** Renders into a fresh directory, and reads what a container would see. */
  async function render(volume: Volume, spec: Partial<PodSpec> = {}) {
    const directory = join(root, String(count++));
    const { refreshAtMs } = await volumes.sync(directory, facts(volume, spec));
    const [plugin] = await readdir(join(directory, 'volumes'));
    const path = join(directory, 'volumes', plugin!, volume.name);
    return { directory, plugin, path, refreshAtMs, again: () => volumes.sync(directory, facts(volume, spec)) };
  }

  const read = (path: string, file: string) => readFile(join(path, file), 'utf8');
  const modeOf = async (path: string, file: string) => ((await stat(join(path, file))).mode & 0o7777).toString(8);

  test('a configMap shows its keys, text and binary, as links through ..data', async () => {
    const { path, plugin } = await render({ name: 'v', configMap: { name: 'settings' } });
    assert.equal(plugin, 'kubernetes.io~configmap');
    assert.deepEqual((await readdir(path)).filter((name) => !name.startsWith('..')).sort(), ['a', 'b', 'c']);
    assert.equal(await read(path, 'a'), '1');
    assert.equal(await readlink(join(path, 'a')), '..data/a');
    assert.equal(await read(path, 'c'), '\0\x01');
    assert.equal(await modeOf(path, 'a'), '644');
  });

  test('items choose keys, paths and modes', async () => {
    const items = [{ key: 'a', path: 'deep/er/one', mode: 0o400 }];
    const { path } = await render({ name: 'v', configMap: { name: 'settings', items, defaultMode: 0o600 } });
    assert.deepEqual(
      (await readdir(path)).filter((name) => !name.startsWith('..')),
      ['deep'],
    );
    assert.equal(await read(path, 'deep/er/one'), '1');
    assert.equal(await modeOf(path, 'deep/er/one'), '400');
  });

  test('what is missing is said in kubelet’s words, unless it is optional', async () => {
    const failing: [Volume, string][] = [
      [{ name: 'v', configMap: { name: 'no' } }, 'configmap "no" not found'],
      [{ name: 'v', secret: { secretName: 'no' } }, 'secret "no" not found'],
      [
        { name: 'v', configMap: { name: 'settings', items: [{ key: 'z', path: 'z' }] } },
        'references non-existent config key: z',
      ],
      [
        { name: 'v', secret: { secretName: 'keys', items: [{ key: 'z', path: 'z' }] } },
        'references non-existent secret key: z',
      ],
    ];
    for (const [volume, words] of failing)
      await assert.rejects(render(volume), { message: `MountVolume.SetUp failed for volume "v" : ${words}` });
    const { path } = await render({ name: 'v', configMap: { name: 'no', optional: true } });
    assert.deepEqual(
      (await readdir(path)).filter((name) => !name.startsWith('..')),
      [],
    );
  });

  test('a kind of volume there is none of is refused by name', async () => {
    await assert.rejects(
      render({ name: 'v', nfs: { server: 's', path: '/etc' } }),
      /volumes of kind nfs are not supported/,
    );
  });

  test('a secret is decoded', async () => {
    const { path } = await render({ name: 'v', secret: { secretName: 'keys', defaultMode: 0o400 } });
    assert.equal(await read(path, 'key'), 's3cret');
    assert.equal(await modeOf(path, 'key'), '400');
  });

  test('downwardAPI shows fields and resources', async () => {
    const items = [
      { path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } },
      { path: 'app', fieldRef: { fieldPath: "metadata.labels['app']" } },
      { path: 'memory', resourceFieldRef: { containerName: 'c', resource: 'limits.memory', divisor: '1Mi' } },
      { path: 'cpu', resourceFieldRef: { containerName: 'c', resource: 'limits.cpu', divisor: '1m' } },
      { path: 'request', resourceFieldRef: { containerName: 'c', resource: 'requests.cpu' } },
    ];
    const { path } = await render({ name: 'v', downwardAPI: { items } });
    assert.equal(await read(path, 'labels'), 'app="x"\ntier="y \\"z\\""');
    assert.equal(await read(path, 'app'), 'x');
    assert.equal(await read(path, 'memory'), '64');
    assert.equal(await read(path, 'cpu'), '500', 'a limit that is not set is the machine’s');
    assert.equal(await read(path, 'request'), '1', 'rounded up');
  });

  test('a projected volume joins its sources, and asks for a new token when four fifths of its life are over', async () => {
    const sources = [
      { serviceAccountToken: { path: 'token', audience: 'me', expirationSeconds: 1000 } },
      { configMap: { name: 'settings', items: [{ key: 'a', path: 'ca.crt' }] } },
      { downwardAPI: { items: [{ path: 'namespace', fieldRef: { fieldPath: 'metadata.namespace' } }] } },
    ];
    const { path, refreshAtMs, again } = await render({ name: 'v', projected: { sources } });
    const first = await read(path, 'token');
    assert.match(first, /^n\/default\/me\/p\/\d+$/);
    assert.equal(await read(path, 'ca.crt'), '1');
    assert.equal(await read(path, 'namespace'), 'n');
    assert.equal(refreshAtMs, clock.now() + 800_000);
    await again();
    assert.equal(await read(path, 'token'), first);
    await clock.advance(800_000);
    await again();
    assert.notEqual(await read(path, 'token'), first);
  });

  test('a change replaces everything at once; the same content again changes nothing', async () => {
    maps.moving = { data: { old: '1', stays: '1' } };
    const { path, again } = await render({ name: 'v', configMap: { name: 'moving' } });
    const target = await readlink(join(path, '..data'));
    await again();
    assert.equal(await readlink(join(path, '..data')), target);
    maps.moving = { data: { new: '2', stays: '2' } };
    await again();
    assert.deepEqual((await readdir(path)).filter((name) => !name.startsWith('..')).sort(), ['new', 'stays']);
    assert.equal(await read(path, 'stays'), '2');
    assert.equal((await readdir(path)).filter((name) => name.startsWith('..')).length, 2, 'old content is swept away');
  });

  test('fsGroup may read everything', { skip: !isRoot && 'only root may give files away' }, async () => {
    const { path } = await render(
      { name: 'v', secret: { secretName: 'keys', defaultMode: 0o400 } },
      { securityContext: { fsGroup: 2000 } },
    );
    const info = await stat(join(path, 'key'));
    assert.deepEqual([info.gid, (info.mode & 0o777).toString(8)], [2000, '440']);
    assert.equal((await stat(path)).gid, 2000);
  });

  test('a token is its user’s alone where there is one', {
    skip: !isRoot && 'only root may give files away',
  }, async () => {
    const sources = [{ serviceAccountToken: { path: 'token' } }];
    const { path } = await render({ name: 'v', projected: { sources } }, { securityContext: { runAsUser: 1000 } });
    const info = await stat(join(path, 'token'));
    assert.deepEqual([info.uid, (info.mode & 0o777).toString(8)], [1000, '600']);
  });

  test('an emptyDir is a directory that anyone may write to', async () => {
    const { path, plugin } = await render({ name: 'v', emptyDir: {} });
    assert.equal(plugin, 'kubernetes.io~empty-dir');
    assert.equal(await modeOf(path, '.'), '777');
  });

  test('removing takes volumes away and nothing else', async () => {
    const { directory } = await render({ name: 'v', emptyDir: {} });
    await writeFile(join(directory, 'etc-hosts'), '');
    await volumes.remove(directory, 'uid');
    assert.deepEqual(await readdir(directory), ['etc-hosts']);
  });

  test('what a killed server left half-way does not stand in the way', async () => {
    const directory = join(root, 'torn');
    const content = (text: string) => ({ files: new Map([['k', { data: Buffer.from(text), mode: 0o644 }]]) });
    await writeVolume(directory, content('1'), 1);
    await symlink('..nowhere', join(directory, '..data_tmp'));
    await writeVolume(directory, content('2'), 2);
    assert.equal(await read(directory, 'k'), '2');
  });
});
