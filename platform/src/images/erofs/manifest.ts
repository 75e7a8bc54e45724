/** Manifests, indexes and configs: parsed, bounded, and the platform chosen. Pure: where they come from is not known here. */
import { SampanError } from '@sampan/api/errors.ts';
import { z } from 'zod';
import {
  configTypes,
  dockerList,
  dockerManifest,
  indexTypes,
  isLayerType,
  manifestTypes,
  ociIndex,
  ociManifest,
} from './media-types.ts';

export const maxManifestBytes = 4 << 20;
export const maxConfigBytes = 8 << 20;
const maxLayers = 512;
const maxIndexEntries = 1024;
/** A layer of more than this is refused before a byte of it is fetched. */
const maxLayerBytes = 64 * 2 ** 30;

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);

const descriptorSchema = z.object({
  mediaType: z.string().max(255).default(''),
  digest,
  size: z.number().int().min(0).max(maxLayerBytes),
});
export type Descriptor = z.infer<typeof descriptorSchema>;

const platformSchema = z.object({ architecture: z.string(), os: z.string(), variant: z.string().optional() });
export type Platform = z.infer<typeof platformSchema>;

const annotationsSchema = z.record(z.string(), z.string()).nullish();

const manifestSchema = z.object({
  schemaVersion: z.literal(2),
  config: descriptorSchema,
  layers: z.array(descriptorSchema).max(maxLayers),
});
export type Manifest = z.infer<typeof manifestSchema>;

const indexSchema = z.object({
  schemaVersion: z.literal(2),
  manifests: z
    .array(descriptorSchema.extend({ platform: platformSchema.nullish(), annotations: annotationsSchema }))
    .max(maxIndexEntries),
});
export type Index = z.infer<typeof indexSchema>;
export type IndexEntry = Index['manifests'][number];

const words = z.array(z.string()).nullish();
const presence = z.record(z.string(), z.looseObject({})).nullish();

const configSchema = z.object({
  architecture: z.string().max(64).default(''),
  os: z.string().max(64).default('linux'),
  created: z.string().max(64).nullish(),
  config: z
    .object({
      User: z.string().nullish(),
      Env: words,
      Entrypoint: words,
      Cmd: words,
      WorkingDir: z.string().nullish(),
      StopSignal: z.string().nullish(),
      ExposedPorts: presence,
      Volumes: presence,
      Labels: z.record(z.string(), z.string()).nullish(),
    })
    .nullish(),
  rootfs: z.object({ type: z.literal('layers'), diff_ids: z.array(digest).max(maxLayers) }),
});
export type ConfigFile = z.infer<typeof configSchema>;

export type ManifestOrIndex = { kind: 'index'; index: Index } | { kind: 'manifest'; manifest: Manifest };

/** Throws Invalid for what is no manifest, Unsupported (by its name) for a kind of manifest that is not read. */
export function parseManifest(body: Buffer, contentType: string, what: string): ManifestOrIndex {
  const value = parseJson(body, what);
  const header = z.object({ schemaVersion: z.number().optional(), mediaType: z.string().optional() }).safeParse(value);
  const mediaType = (header.data?.mediaType || contentType.split(';')[0] || '').trim();
  if (header.data?.schemaVersion === 1 || /manifest\.v1\+/.test(mediaType)) {
    const schema1 = `${what} is a Docker image manifest of schema version 1, which is not read; push the image again with a current tool`;
    if (!manifestTypes.includes(mediaType) && !indexTypes.includes(mediaType))
      throw new SampanError('Unsupported', schema1);
  }
  if (indexTypes.includes(mediaType)) return { kind: 'index', index: checked(indexSchema, value, what) };
  if (manifestTypes.includes(mediaType)) return { kind: 'manifest', manifest: checkedManifest(value, what) };
  // Media types are optional in OCI documents; the two kinds cannot be mistaken for each other.
  const isGeneric = mediaType === '' || /^(application\/(octet-stream|json)|text\/plain)$/.test(mediaType);
  if (isGeneric && typeof value === 'object' && value !== null) {
    if ('manifests' in value) return { kind: 'index', index: checked(indexSchema, value, what) };
    if ('layers' in value) return { kind: 'manifest', manifest: checkedManifest(value, what) };
  }
  throw new SampanError(
    'Unsupported',
    `${what} has the media type ${JSON.stringify(mediaType.slice(0, 100))}, which is not read`,
  );
}

function checkedManifest(value: unknown, what: string): Manifest {
  const manifest = checked(manifestSchema, value, what);
  const { mediaType, size } = manifest.config;
  if (mediaType && !configTypes.includes(mediaType)) {
    throw new SampanError(
      'Unsupported',
      `${what} is no container image: its config is of type ${JSON.stringify(mediaType)}`,
    );
  }
  if (size > maxConfigBytes)
    throw new SampanError('Invalid', `${what}: its config has ${size} bytes, at most ${maxConfigBytes} are read`);
  for (const layer of manifest.layers) {
    if (layer.mediaType && !isLayerType(layer.mediaType)) {
      throw new SampanError(
        'Unsupported',
        `${what}: a layer is of type ${JSON.stringify(layer.mediaType)}, which is not read`,
      );
    }
  }
  return manifest;
}

export function parseConfig(body: Buffer, what: string): ConfigFile {
  return checked(configSchema, parseJson(body, what), what);
}

/** Accept header of a manifest request. */
export const acceptedManifests = [ociIndex, ociManifest, dockerList, dockerManifest].join(', ');

/**
 * The entry for a Linux machine of `architecture`; a plain one before one for a newer variant of the processor.
 * Throws Unsupported naming what there is.
 */
export function choosePlatform(index: Index, architecture: string, what: string): IndexEntry {
  const fitting = index.manifests.filter(
    ({ platform }) => platform?.os === 'linux' && platform.architecture === architecture,
  );
  const rank = ({ platform }: IndexEntry) =>
    !platform?.variant || platform.variant === 'v8' ? 0 : Number(platform.variant.slice(1)) || 99;
  const best = fitting.sort((a, b) => rank(a) - rank(b))[0];
  if (best) return best;
  const only = index.manifests.length === 1 ? index.manifests[0] : undefined;
  if (only && !only.platform) return only;
  const there = index.manifests.map(({ platform }) =>
    platform ? `${platform.os}/${platform.architecture}` : 'unnamed',
  );
  throw new SampanError(
    'Unsupported',
    `${what} is not there for linux/${architecture}, only for ${[...new Set(there)].slice(0, 20).join(', ') || 'nothing'}`,
  );
}

function parseJson(body: Buffer, what: string): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw new SampanError('Invalid', `${what} is not JSON`, {}, { cause: error as Error });
  }
}

function checked<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new SampanError('Invalid', `${what} is broken: ${issue?.path.join('.')}: ${issue?.message}`);
}
