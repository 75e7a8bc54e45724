/**
 * The real driver of the images seam: images as EROFS files in one directory that belongs to this store alone.
 *
 *   images/<id>.json      what is known of an image       block/<content>.erofs  what machines attach
 *   blobs/<digest>        compressed layers, bounded      pins/<user>            who keeps what
 *   work/                 what is being made; emptied at start
 */
import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';
import { type Clock, systemClock } from '../../base/clock.ts';
import { ensureDirectory } from '../../base/files.ts';
import { randomHex } from '../../base/ids.ts';
import type { Logger } from '../../base/log.ts';
import { SerialByKey } from '../../base/serial.ts';
import type { GarbageResult, GarbageThresholds } from '../garbage.ts';
import type { Image, ImageGarbageCollector, ImagePusher, ImageStore, PullProgress, RegistryAuth } from '../images.ts';
import {
  digestedName,
  formatReference,
  imageIdPrefix,
  parseReference,
  type Reference,
  taggedName,
} from '../reference.ts';
import { SharedWork } from '../shared-work.ts';
import { BlobCache } from './blob-cache.ts';
import { BlockImages } from './block-images.ts';
import { collectGarbage } from './collect-garbage.ts';
import type { ConvertLimits } from './convert-layers.ts';
import { asDiskError } from './disk-errors.ts';
import { ImageIndex } from './image-index.ts';
import { ImageInstaller } from './image-installer.ts';
import { type ImageRecord, runtimeConfig } from './image-record.ts';
import { openArchive } from './import-archive.ts';
import { parseConfig } from './manifest.ts';
import { Pins } from './pins.ts';
import { pushImage } from './push-image.ts';
import { RegistryClient } from './registry/registry-client.ts';
import { findInRegistry } from './registry-source.ts';

export interface ErofsImageStoreOptions {
  /** Belongs to this store alone; made when missing. */
  directory: string;
  log: Logger;
  clock?: Clock;
  /** As OCI names it; default this machine's. */
  architecture?: string;
  /** `host[:port]` that may be spoken to over http or with an unknown certificate. Loopback always may. */
  insecureRegistries?: string[];
  /** A registry silent for this long has stalled (default 30 s). */
  stallMs?: number;
  /** Compressed layers kept for later pulls and for pushing (default 2 GiB). */
  layerCacheBytes?: number;
  limits?: ConvertLimits;
}

type PullOptions = NonNullable<Parameters<ImageStore['pull']>[1]>;
type PushOptions = NonNullable<Parameters<ImagePusher['push']>[1]>;

const architectures: Partial<Record<NodeJS.Architecture, string>> = { x64: 'amd64' };
const touchEveryMs = 60_000;
const defaultLayerCacheBytes = 2 * 2 ** 30;

/** Opens the store, clearing away what a crash left half-made. */
export async function createErofsImageStore(options: ErofsImageStoreOptions): Promise<ErofsImageStore> {
  const below = (name: string) => join(options.directory, name);
  await rm(below('work'), { recursive: true, force: true });
  for (const name of ['images', 'block', 'blobs', 'pins', 'work']) await ensureDirectory(below(name), 0o700);
  const index = await ImageIndex.load(below('images'), options.log);
  const pins = await Pins.load(below('pins'), options.log);
  const cache = new BlobCache(below('blobs'), options.layerCacheBytes ?? defaultLayerCacheBytes);
  const blocks = new BlockImages({ directory: below('block'), workDirectory: below('work'), limits: options.limits });
  for (const record of index.all()) {
    if ((await blocks.sizeOf(record.contentId)) !== undefined) continue;
    options.log.warn(
      { image: record.id },
      'the block image of an image is gone; the image is forgotten and can be pulled again',
    );
    await index.delete(record.id);
  }
  for (const contentId of await blocks.contentIds()) await blocks.removeUnless(contentId, index.usesContent(contentId));
  await cache.trim();
  return new ErofsImageStore(options, { index, pins, cache, blocks });
}

export class ErofsImageStore implements ImageStore, ImageGarbageCollector, ImagePusher {
  readonly #options: Required<Omit<ErofsImageStoreOptions, 'limits' | 'layerCacheBytes'>>;
  readonly #index: ImageIndex;
  readonly #pins: Pins;
  readonly #cache: BlobCache;
  readonly #blocks: BlockImages;
  readonly #installer: ImageInstaller;
  readonly #workDirectory: string;
  readonly #pulls = new SharedWork<ImageRecord, PullProgress>();
  /** Pins and removals see each other whole. */
  readonly #holding = new SerialByKey();

  constructor(
    options: ErofsImageStoreOptions,
    parts: { index: ImageIndex; pins: Pins; cache: BlobCache; blocks: BlockImages },
  ) {
    const architecture = architectures[process.arch] ?? process.arch;
    this.#options = { clock: systemClock, architecture, insecureRegistries: [], stallMs: 30_000, ...options };
    this.#index = parts.index;
    this.#pins = parts.pins;
    this.#cache = parts.cache;
    this.#blocks = parts.blocks;
    this.#workDirectory = join(options.directory, 'work');
    const { clock, log } = this.#options;
    this.#installer = new ImageInstaller({ ...parts, workDirectory: this.#workDirectory, clock, log });
  }

  async pull(text: string, options: PullOptions = {}): Promise<Image> {
    const reference = parseReference(text);
    // Callers with other credentials must not ride on this one's.
    const who = createHash('sha256')
      .update(JSON.stringify(options.auth ?? {}))
      .digest('hex');
    const record = await this.#pulls.join({
      key: `${formatReference(reference)} ${who}`,
      signal: options.signal,
      onProgress: options.onProgress,
      start: (signal, report) => this.#pull(reference, { auth: options.auth, signal, report }),
    });
    return this.#imageOf(record);
  }

  async #pull(
    reference: Reference,
    options: { auth: RegistryAuth | undefined; signal: AbortSignal; report: (progress: PullProgress) => void },
  ): Promise<ImageRecord> {
    const { clock, insecureRegistries, stallMs, architecture } = this.#options;
    const { signal } = options;
    options.report({ phase: 'resolving', doneBytes: 0, totalBytes: 0 });
    using client = new RegistryClient({
      reference,
      credentials: options.auth,
      clock,
      insecureRegistries,
      stallMs,
      signal,
    });
    const found = await findInRegistry(client, reference, architecture);
    return this.#installer.install(found.source, {
      tag: taggedName(reference),
      repoDigest: digestedName(reference, found.digest),
      signal,
      report: options.report,
    });
  }

  /** Resolves when no pull is under way, also none that was called off and is clearing up. */
  idle(): Promise<void> {
    return this.#pulls.idle();
  }

  async get(reference: string): Promise<Image | undefined> {
    const record = this.#index.find(reference);
    return record && this.#imageOf(record);
  }

  async list(): Promise<Image[]> {
    return Promise.all(this.#index.all().map((record) => this.#imageOf(record)));
  }

  async push(text: string, options: PushOptions = {}): Promise<{ digest: string }> {
    const reference = parseReference(text);
    const record = this.#index.find(options.from ?? text);
    if (!record)
      throw new SampanError('NotFound', `image ${options.from ?? text} is not here; pull or import it, then push it`);
    const { clock, insecureRegistries, stallMs } = this.#options;
    using client = new RegistryClient({
      reference,
      credentials: options.auth,
      clock,
      insecureRegistries,
      stallMs,
      actions: 'pull,push',
      signal: options.signal,
    });
    const digests = record.layers.map(({ digest }) => digest);
    using _layers = this.#cache.lease(digests, clock.now());
    const report = options.onProgress ?? (() => {});
    return { digest: await pushImage(record, { client, reference, cache: this.#cache, report }) };
  }

  remove(reference: string): Promise<void> {
    return this.#holding.run('', async () => {
      const record = this.#index.find(reference);
      if (!record) return;
      const name =
        imageIdPrefix(reference) && !this.#isNameOf(record, reference) ? undefined : parseReference(reference);
      const tag = name && !name.digest ? taggedName(name) : undefined;
      const digest = name?.digest && digestedName(name, name.digest);
      const tags = record.tags.filter((one) => one.name !== tag);
      const repoDigests = record.repoDigests.filter((one) => one !== digest);
      // Names left over keep the image; the digests a tag was pulled by go with its last tag.
      const stays = name && (tag ? tags.length > 0 : tags.length + repoDigests.length > 0);
      if (stays) await this.#index.update(record.id, (now) => ({ ...now, tags, repoDigests }));
      else await this.#delete(record);
    });
  }

  #isNameOf(record: ImageRecord, text: string): boolean {
    try {
      const name = taggedName(parseReference(text));
      return record.tags.some((tag) => tag.name === name);
    } catch {
      return false;
    }
  }

  async #delete(record: ImageRecord): Promise<void> {
    const users = this.#pins.usersOf(record.id);
    if (users.length > 0) {
      const who = users.slice(0, 5).join(', ');
      throw new SampanError(
        'FailedPrecondition',
        `image ${record.tags[0]?.name ?? record.id} is in use by ${who}; stop it, then remove the image`,
      );
    }
    await this.#index.delete(record.id);
    await this.#blocks.removeUnless(record.contentId, this.#index.usesContent(record.contentId));
  }

  async import(archivePath: string, options: { as?: string } = {}): Promise<Image[]> {
    const workDirectory = join(this.#workDirectory, `import-${randomHex(6)}`);
    await ensureDirectory(workDirectory, 0o700);
    try {
      const { architecture } = this.#options;
      const found = await openArchive({ archivePath, workDirectory, architecture, as: options.as });
      const images: Image[] = [];
      for (const { source, tags, digest } of found) {
        let record: ImageRecord | undefined;
        for (const tag of tags.length > 0 ? tags : [undefined]) {
          const repoDigest = tag && digest ? digestedName(parseReference(tag), digest) : undefined;
          record = await this.#installer.install(source, {
            tag,
            repoDigest,
            signal: new AbortController().signal,
            report: () => {},
          });
        }
        images.push(await this.#imageOf(record!));
      }
      return images;
    } catch (error) {
      throw asDiskError(error, `cannot import ${archivePath}`);
    } finally {
      await rm(workDirectory, { recursive: true, force: true });
    }
  }

  pin(imageId: string, user: string): Promise<void> {
    return this.#holding.run('', async () => {
      if (!this.#index.byId(imageId))
        throw new SampanError('NotFound', `image ${imageId} is not here; pull it, then pin it`);
      await this.#pins.add(imageId, user);
      await this.#touch(imageId);
    });
  }

  unpin(user: string): Promise<void> {
    return this.#holding.run('', async () => {
      const images = this.#pins.imagesOf(user);
      await this.#pins.drop(user);
      for (const id of images) await this.#touch(id);
    });
  }

  /** Garbage collection asks for the day, not the second: written at most once a minute. */
  async #touch(id: string): Promise<void> {
    const lastUsedMs = this.#options.clock.now();
    const before = this.#index.byId(id)?.lastUsedMs ?? 0;
    if (Math.abs(lastUsedMs - before) < touchEveryMs) return;
    return this.#index.update(id, (record) => ({ ...record, lastUsedMs }));
  }

  async usage(): Promise<{ usedBytes: number; images: number; path: string }> {
    const contentIds = new Set(this.#index.all().map(({ contentId }) => contentId));
    let usedBytes = await this.#cache.usedBytes();
    for (const contentId of contentIds) usedBytes += (await this.#blocks.sizeOf(contentId)) ?? 0;
    return { usedBytes, images: this.#index.all().length, path: this.#options.directory };
  }

  collectGarbage(thresholds: GarbageThresholds): Promise<GarbageResult> {
    const { directory, clock } = this.#options;
    const parts = { directory, index: this.#index, pins: this.#pins, cache: this.#cache, blocks: this.#blocks };
    return collectGarbage({ ...parts, remove: (id) => this.remove(id), nowMs: clock.now() }, thresholds);
  }

  async #imageOf(record: ImageRecord): Promise<Image> {
    const config = parseConfig(Buffer.from(record.configText), `the config of ${record.id}`);
    return {
      id: record.id,
      repoTags: record.tags.map(({ name }) => name),
      repoDigests: record.repoDigests,
      sizeBytes: (await this.#blocks.sizeOf(record.contentId)) ?? 0,
      architecture: record.architecture,
      os: record.os,
      config: runtimeConfig(config),
      blockImagePath: this.#blocks.pathOf(record.contentId),
      ...(record.createdAt ? { createdAt: record.createdAt } : {}),
    };
  }
}
