import assert from 'node:assert/strict';
import { it } from 'node:test';
import { choosePlatform, type Index, parseConfig, parseManifest } from './manifest.ts';
import { dockerList, dockerManifest, ociIndex, ociManifest } from './media-types.ts';

const digest = `sha256:${'1'.repeat(64)}`;
const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest, size: 10 };
const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest, size: 10 };
const body = (value: unknown) => Buffer.from(JSON.stringify(value));
const parse = (value: unknown, type = '') => parseManifest(body(value), type, 'x');

it("OCI and Docker manifests and indexes are read, by their own media type or the header's", () => {
  const manifest = { schemaVersion: 2, config, layers: [layer] };
  for (const type of [ociManifest, dockerManifest]) {
    assert.equal(parse({ ...manifest, mediaType: type }).kind, 'manifest');
    assert.equal(parse(manifest, `${type}; charset=utf-8`).kind, 'manifest');
  }
  const index = { schemaVersion: 2, manifests: [{ mediaType: ociManifest, digest, size: 1 }] };
  for (const type of [ociIndex, dockerList]) assert.equal(parse(index, type).kind, 'index');
  assert.equal(parse(index).kind, 'index');
});

it('schema 1, other artifacts and unknown layers are refused by name', () => {
  const unsupported: [unknown, string, RegExp][] = [
    [{ schemaVersion: 1, fsLayers: [] }, '', /schema version 1/],
    [{ schemaVersion: 1 }, 'application/vnd.docker.distribution.manifest.v1+prettyjws', /schema version 1/],
    [
      { schemaVersion: 2, config: { ...config, mediaType: 'application/vnd.cncf.helm.config.v1+json' }, layers: [] },
      ociManifest,
      /helm/,
    ],
    [
      { schemaVersion: 2, config, layers: [{ ...layer, mediaType: `${layer.mediaType}+encrypted` }] },
      ociManifest,
      /encrypted/,
    ],
    [{ schemaVersion: 2 }, 'application/vnd.strange', /vnd.strange/],
  ];
  for (const [value, type, message] of unsupported)
    assert.throws(() => parse(value, type), { reason: 'Unsupported', message });
});

it('broken manifests are Invalid', () => {
  const broken = [
    { schemaVersion: 2, config: { ...config, digest: 'sha256:xyz' }, layers: [] },
    { schemaVersion: 2, config: { ...config, size: -1 }, layers: [] },
    { schemaVersion: 2, config: { ...config, size: 9 << 20 }, layers: [] },
    { schemaVersion: 2, config, layers: Array(513).fill(layer) },
    { schemaVersion: 2, config },
  ];
  for (const value of broken) assert.throws(() => parse(value, ociManifest), { reason: 'Invalid' });
  assert.throws(() => parseManifest(Buffer.from('<html>'), ociManifest, 'x'), {
    reason: 'Invalid',
    message: /not JSON/,
  });
});

it('a config of nulls is one of nothing', () => {
  const file = parseConfig(
    body({
      architecture: 'amd64',
      os: 'linux',
      config: { Env: null, Cmd: null },
      rootfs: { type: 'layers', diff_ids: [] },
    }),
    'x',
  );
  assert.equal(file.config?.Env, null);
});

const entry = (architecture: string, variant?: string, os = 'linux') => ({
  mediaType: ociManifest,
  digest,
  size: 1,
  platform: { architecture, os, ...(variant ? { variant } : {}) },
});
const index = (...manifests: Index['manifests']): Index => ({ schemaVersion: 2, manifests });

it("the platform chosen is this machine's, without needing a newer processor", () => {
  const all = index(
    entry('unknown', undefined, 'unknown'),
    entry('arm64', 'v8'),
    entry('amd64', 'v3'),
    entry('amd64'),
    entry('amd64', undefined, 'windows'),
  );
  assert.deepEqual(choosePlatform(all, 'amd64', 'x').platform, { architecture: 'amd64', os: 'linux' });
  assert.equal(choosePlatform(all, 'arm64', 'x').platform?.variant, 'v8');
  assert.throws(() => choosePlatform(all, 'riscv64', 'x'), {
    reason: 'Unsupported',
    message: /linux\/arm64, linux\/amd64/,
  });
});
