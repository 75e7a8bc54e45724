/** Images of archives: OCI image layouts (image-spec image-layout.md) and what `docker save` writes (manifest.json). */
import { rm } from 'node:fs/promises';
import { SampanError } from '@sampan/api/errors.ts';
import { z } from 'zod';
import { formatReference, parseReference } from '../reference.ts';
import { ArchiveFiles } from './archive-files.ts';
import { checkedSource, type FetchTarget, type ImageSource } from './image-source.ts';
import {
  choosePlatform,
  type Descriptor,
  type IndexEntry,
  type Manifest,
  maxConfigBytes,
  maxManifestBytes,
  parseManifest,
} from './manifest.ts';
import { dockerLayer, dockerLayerGzip, ociIndex, ociLayerZstd } from './media-types.ts';
import { digestOf } from './registry/registry-client.ts';

export interface ArchivedImage {
  source: ImageSource;
  /** Normalised names with tags. */
  tags: string[];
  /** Of the manifest, where the archive has one. */
  digest?: string;
}

export interface OpenArchiveOptions {
  archivePath: string;
  /** For an unpacked copy; the caller removes it when done with the images. */
  workDirectory: string;
  architecture: string;
  /** Names the one image that the archive does not name, or the one that it has. */
  as?: string | undefined;
}

export async function openArchive(options: OpenArchiveOptions): Promise<ArchivedImage[]> {
  const files = await ArchiveFiles.open(options.archivePath, options.workDirectory);
  const images = files.has('index.json') ? await ociImages(files, options) : await dockerImages(files, options);
  if (images.length === 0) throw new SampanError('Invalid', `archive ${options.archivePath} has no image`);
  if (options.as !== undefined) toBeNamed(images, options).tags.push(formatReference(parseReference(options.as)));
  return images;
}

/** The one image without a name, else the one there is at all: it has the new name besides its own. */
function toBeNamed(images: ArchivedImage[], options: OpenArchiveOptions): ArchivedImage {
  const nameless = images.filter(({ tags }) => tags.length === 0);
  const [only, ...more] = nameless.length > 0 ? nameless : images;
  if (only && more.length === 0) return only;
  const which = nameless.length > 0 ? ' without a name' : '';
  throw new SampanError(
    'Invalid',
    `archive ${options.archivePath} has ${more.length + 1} images${which}, and only one can be ${options.as}`,
  );
}

async function ociImages(files: ArchiveFiles, options: OpenArchiveOptions): Promise<ArchivedImage[]> {
  const what = `index.json of ${options.archivePath}`;
  const top = parseManifest(await files.read('index.json', maxManifestBytes), ociIndex, what);
  if (top.kind !== 'index') throw new SampanError('Invalid', `${what} is no image index`);
  const images: ArchivedImage[] = [];
  const others: string[] = [];
  for (const entry of top.index.manifests) {
    const { platform } = entry;
    if (platform && (platform.os !== 'linux' || platform.architecture !== options.architecture)) {
      others.push(`${platform.os}/${platform.architecture}`);
    } else images.push(await ociImage(files, entry, options));
  }
  if (images.length === 0) {
    const there = others.length > 0 ? `only for ${[...new Set(others)].join(', ')}` : 'at all';
    throw new SampanError(
      'Unsupported',
      `archive ${options.archivePath} has no image for linux/${options.architecture}, ${there}`,
    );
  }
  return images;
}

async function ociImage(files: ArchiveFiles, entry: IndexEntry, options: OpenArchiveOptions): Promise<ArchivedImage> {
  const name = `image ${entry.digest} of ${options.archivePath}`;
  let descriptor: Descriptor = entry;
  let manifest: Manifest | undefined;
  let text = '';
  for (let depth = 0; !manifest; depth++) {
    if (depth === 3) throw new SampanError('Invalid', `${name}: indexes are nested too deep`);
    const body = await readBlob(files, descriptor, maxManifestBytes);
    const parsed = parseManifest(body, descriptor.mediaType, name);
    if (parsed.kind === 'index') descriptor = choosePlatform(parsed.index, options.architecture, name);
    else {
      manifest = parsed.manifest;
      text = body.toString('utf8');
    }
  }
  const configBody = await readBlob(files, manifest.config, maxConfigBytes);
  const source: ImageSource = {
    ...checkedSource({ name, configBody, layers: manifest.layers, architecture: options.architecture }),
    manifest: { text, mediaType: descriptor.mediaType },
    fetch: (layer, to) => copyVerified(files, { ...to, name: blobName(layer.digest), layer }),
  };
  return { source, tags: ociNames(entry), digest: entry.digest };
}

/** containerd's annotation holds a full name; OCI's own one too where tools put one there, else just a tag, which names nothing alone. */
function ociNames(entry: IndexEntry): string[] {
  const full = entry.annotations?.['io.containerd.image.name'];
  const short = entry.annotations?.['org.opencontainers.image.ref.name'];
  const name = full ?? (short && /[/:]/.test(short) ? short : undefined);
  return name ? [formatReference(parseReference(name))] : [];
}

const dockerManifestSchema = z
  .array(
    z.object({
      Config: z.string(),
      RepoTags: z.array(z.string()).max(1000).nullish(),
      Layers: z.array(z.string()).max(512).nullish(),
    }),
  )
  .max(1000);

async function dockerImages(files: ArchiveFiles, options: OpenArchiveOptions): Promise<ArchivedImage[]> {
  if (!files.has('manifest.json')) {
    throw new SampanError(
      'Invalid',
      `archive ${options.archivePath} has neither index.json (OCI layout) nor manifest.json (docker save)`,
    );
  }
  const parsed = dockerManifestSchema.safeParse(parseJson(await files.read('manifest.json', maxManifestBytes)));
  if (!parsed.success) {
    throw new SampanError(
      'Invalid',
      `manifest.json of ${options.archivePath} is broken: ${parsed.error.issues[0]?.message}`,
    );
  }
  return Promise.all(parsed.data.map((saved) => dockerImage(files, saved, options)));
}

async function dockerImage(
  files: ArchiveFiles,
  saved: z.infer<typeof dockerManifestSchema>[number],
  options: OpenArchiveOptions,
): Promise<ArchivedImage> {
  const name = `image ${saved.RepoTags?.[0] ?? saved.Config} of ${options.archivePath}`;
  const configBody = await files.read(saved.Config, maxConfigBytes);
  const paths = saved.Layers ?? [];
  const unchecked = checkedSource({
    name,
    configBody,
    layers: paths.map(placeholder),
    architecture: options.architecture,
  });
  const names = new Map<string, string>();
  for (const [i, layer] of unchecked.layers.entries()) {
    const path = paths[i]!;
    Object.assign(layer, await describeLayer(files, path, layer.diffId));
    names.set(layer.digest, path);
  }
  const source: ImageSource = {
    ...unchecked,
    fetch: (layer, to) => copyVerified(files, { ...to, name: names.get(layer.digest)!, layer }),
  };
  return { source, tags: (saved.RepoTags ?? []).map((tag) => formatReference(parseReference(tag))) };
}

const placeholder = (): Descriptor => ({ mediaType: '', digest: '', size: 0 });

/** The archive names layers by path alone. An uncompressed one has to be what the config says; a compressed one gets its own digest. */
async function describeLayer(files: ArchiveFiles, path: string, diffId: string): Promise<Descriptor> {
  const compression = await files.compression(path);
  const mediaType = { none: dockerLayer, gzip: dockerLayerGzip, zstd: ociLayerZstd }[compression];
  return { mediaType, size: files.sizeOf(path)!, digest: compression === 'none' ? diffId : await files.digest(path) };
}

const blobName = (digest: string): string => `blobs/${digest.replace(':', '/')}`;

async function readBlob(files: ArchiveFiles, descriptor: Descriptor, limit: number): Promise<Buffer> {
  const body = await files.read(blobName(descriptor.digest), limit);
  const found = digestOf(body);
  if (found !== descriptor.digest) throw mismatch(descriptor, found);
  return body;
}

async function copyVerified(
  files: ArchiveFiles,
  options: FetchTarget & { name: string; layer: Descriptor },
): Promise<void> {
  const { name, layer, path } = options;
  try {
    const found = await files.copy(name, options);
    if (found !== layer.digest || files.sizeOf(name) !== layer.size) throw mismatch(layer, found);
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}

function mismatch(wanted: Descriptor, found: string): SampanError {
  return new SampanError(
    'Invalid',
    `the archive's blob ${wanted.digest} has in truth the digest ${found}, or another size`,
  );
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}
