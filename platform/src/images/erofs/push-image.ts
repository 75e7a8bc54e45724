/** Sends an image that is here to a registry (OCI distribution-spec, "Push"): what the registry lacks, then the config, then the manifest. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { SampanError } from '@sampan/api/errors.ts';
import type { PushProgress } from '../images.ts';
import type { Reference } from '../reference.ts';
import type { BlobCache } from './blob-cache.ts';
import type { ImageRecord } from './image-record.ts';
import { dockerConfig, dockerManifest, ociConfig, ociManifest } from './media-types.ts';
import { digestOf, type RegistryClient } from './registry/registry-client.ts';
import { errorFrom } from './registry/registry-errors.ts';

interface Upload {
  digest: string;
  size: number;
  body: () => AsyncIterable<Buffer>;
}

export interface PushOptions {
  client: RegistryClient;
  reference: Reference;
  cache: BlobCache;
  report: (progress: PushProgress) => void;
}

/**
 * Returns the manifest's digest; an image that came with a manifest keeps it. Throws FailedPrecondition when a layer that the registry lacks is no
 * longer kept here.
 */
export async function pushImage(record: ImageRecord, options: PushOptions): Promise<string> {
  const { client, reference } = options;
  const uploads = uploadsOf(record, options.cache);
  const totalBytes = uploads.reduce((sum, { size }) => sum + size, 0);
  let doneBytes = 0;
  options.report({ doneBytes, totalBytes });
  for (const upload of uploads) {
    await pushBlob(record, upload, options);
    doneBytes += upload.size;
    options.report({ doneBytes, totalBytes });
  }
  const manifest = record.manifest ?? makeManifest(record);
  const digest = digestOf(Buffer.from(manifest.text));
  const response = await client.request(`/manifests/${reference.tag ?? digest}`, {
    method: 'PUT',
    headers: { 'content-type': manifest.mediaType },
    body: Buffer.from(manifest.text),
  });
  if (response.status !== 201) throw await errorFrom(response, `pushing ${client.name}`);
  response.discard();
  return digest;
}

function uploadsOf(record: ImageRecord, cache: BlobCache): Upload[] {
  const config = Buffer.from(record.configText);
  const layers = new Map(record.layers.map(({ digest, size }) => [digest, size]));
  const uploads = [...layers].map(
    ([digest, size]): Upload => ({ digest, size, body: () => createReadStream(cache.pathOf(digest)) }),
  );
  const configUpload = {
    digest: record.id,
    size: config.length,
    async *body() {
      yield config;
    },
  };
  return [...uploads, configUpload];
}

async function pushBlob(record: ImageRecord, upload: Upload, { client, cache }: PushOptions): Promise<void> {
  const what = `pushing ${client.name}`;
  const there = await client.request(`/blobs/${upload.digest}`, { method: 'HEAD' });
  if (there.status !== 404 && there.status !== 200) throw await errorFrom(there, what);
  there.discard();
  if (there.status === 200) return;
  if (upload.digest !== record.id && !(await isKept(cache, upload))) {
    const name = record.tags[0]?.name ?? record.id;
    throw new SampanError(
      'FailedPrecondition',
      `cannot push ${name}: its layer ${upload.digest} is no longer kept here; remove the image, pull or import it again, then push`,
    );
  }
  const begun = await client.request('/blobs/uploads/', { method: 'POST', headers: { 'content-length': '0' } });
  if (begun.status !== 202 || !begun.headers.location) throw await errorFrom(begun, what);
  begun.discard();
  const location = new URL(begun.headers.location, await client.base());
  location.searchParams.set('digest', upload.digest);
  const headers = { 'content-type': 'application/octet-stream', 'content-length': String(upload.size) };
  const done = await client.request(location.href, { method: 'PUT', headers, body: upload.body });
  if (done.status !== 201) throw await errorFrom(done, what);
  done.discard();
}

async function isKept(cache: BlobCache, { digest, size }: Upload): Promise<boolean> {
  return (await stat(cache.pathOf(digest)).catch(() => undefined))?.size === size;
}

/** For images of `docker save`, which come without a manifest. */
function makeManifest(record: ImageRecord): { text: string; mediaType: string } {
  const isDocker = record.layers.every(({ mediaType }) => mediaType.includes('docker'));
  const mediaType = isDocker ? dockerManifest : ociManifest;
  const config = {
    mediaType: isDocker ? dockerConfig : ociConfig,
    digest: record.id,
    size: Buffer.byteLength(record.configText),
  };
  const layers = record.layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size }));
  return { mediaType, text: JSON.stringify({ schemaVersion: 2, mediaType, config, layers }) };
}
