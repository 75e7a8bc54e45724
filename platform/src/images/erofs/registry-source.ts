/** Finds an image in a registry: reference → (index →) manifest → config, for this machine's architecture. */

import { open, rm } from 'node:fs/promises';
import { isReason, SampanError } from '@sampan/api/errors.ts';
import { formatReference, type Reference } from '../reference.ts';
import { checkedSource, type ImageSource } from './image-source.ts';
import { choosePlatform, type Manifest, parseManifest } from './manifest.ts';
import type { FetchedManifest, RegistryClient } from './registry/registry-client.ts';

export interface FoundImage {
  source: ImageSource;
  /** Digest of what the reference names: the index where there is one. */
  digest: string;
}

export async function findInRegistry(
  client: RegistryClient,
  reference: Reference,
  architecture: string,
): Promise<FoundImage> {
  const name = formatReference(reference);
  const top = await client.manifest(reference.digest ?? reference.tag ?? 'latest');
  const { fetched, manifest } = await platformManifest(client, top, { name, architecture });
  const configBody = await client.smallBlob(manifest.config);
  const source: ImageSource = {
    ...checkedSource({ name, configBody, layers: manifest.layers, architecture }),
    manifest: { text: fetched.body.toString('utf8'), mediaType: fetched.contentType.split(';')[0]!.trim() },
    async fetch(layer, { path, onBytes, signal }) {
      const file = await open(path, 'wx');
      try {
        await client.blob(layer, { file, onBytes, signal });
      } catch (error) {
        await rm(path, { force: true });
        throw isReason(error, 'NotFound') ? missingLayer(name, error) : error;
      } finally {
        await file.close();
      }
    },
  };
  return { source, digest: top.digest };
}

/** An index may point to a manifest, or once more to an index. */
async function platformManifest(
  client: RegistryClient,
  top: FetchedManifest,
  wanted: { name: string; architecture: string },
): Promise<{ fetched: FetchedManifest; manifest: Manifest }> {
  let fetched = top;
  for (let depth = 0; depth < 3; depth++) {
    const parsed = parseManifest(fetched.body, fetched.contentType, wanted.name);
    if (parsed.kind === 'manifest') return { fetched, manifest: parsed.manifest };
    const entry = choosePlatform(parsed.index, wanted.architecture, wanted.name);
    fetched = await client.manifest(entry.digest, entry.size);
  }
  throw new SampanError('Invalid', `${wanted.name}: indexes are nested too deep`);
}

/** The name exists, so "not found" would send the caller looking for a typing error. */
function missingLayer(name: string, cause: SampanError): SampanError {
  return new SampanError('Invalid', `${name} is broken: its registry lacks a layer (${cause.message})`, {}, { cause });
}
