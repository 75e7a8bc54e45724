/** Makes a known image one that is here: layers, block image, record, in this order, so that a crash at any line leaves nothing half-made. */
import { isReason } from '@sampan/api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { SerialByKey } from '../../base/serial.ts';
import type { PullProgress } from '../images.ts';
import type { BlobCache } from './blob-cache.ts';
import { type BlockImages, contentIdOf } from './block-images.ts';
import { asDiskError } from './disk-errors.ts';
import { fetchLayers } from './fetch-layers.ts';
import type { ImageIndex } from './image-index.ts';
import type { ImageRecord } from './image-record.ts';
import type { ImageSource } from './image-source.ts';

export interface InstallerParts {
  index: ImageIndex;
  cache: BlobCache;
  blocks: BlockImages;
  workDirectory: string;
  clock: Clock;
  log: Logger;
}

export interface InstallRun {
  tag?: string | undefined;
  repoDigest?: string | undefined;
  signal: AbortSignal;
  report: (progress: PullProgress) => void;
}

export class ImageInstaller {
  readonly #parts: InstallerParts;
  /** Per block image, and per layer: what two pulls need is made once. */
  readonly #making = new SerialByKey();
  readonly #fetching = new SerialByKey();

  constructor(parts: InstallerParts) {
    this.#parts = parts;
  }

  /** Throws ResourceExhausted when the disk is full even without the layers of earlier pulls; then none are kept. */
  async install(source: ImageSource, run: InstallRun): Promise<ImageRecord> {
    const { cache, log, clock } = this.#parts;
    const startMs = clock.monotonicMs();
    try {
      const record = await this.#installLeased(source, run);
      await cache.trim();
      log.info({ image: source.name, id: source.id, ms: Math.round(clock.monotonicMs() - startMs) }, 'image is here');
      return record;
    } catch (error) {
      await cache.trim(isReason(error, 'ResourceExhausted') ? 0 : undefined);
      throw error;
    }
  }

  async #installLeased(source: ImageSource, run: InstallRun): Promise<ImageRecord> {
    const { cache, blocks, index, clock } = this.#parts;
    const contentId = contentIdOf(source.layers.map(({ diffId }) => diffId));
    const lease = blocks.lease(contentId);
    const digests = source.layers.map(({ digest }) => digest);
    using _layers = cache.lease(digests, clock.now());
    try {
      await this.#making.run(contentId, () => this.#makeBlockImage(source, contentId, run));
      return await index.put(this.#recordOf(source, contentId), {
        tag: run.tag,
        digest: run.repoDigest,
        nowMs: clock.now(),
      });
    } catch (error) {
      throw asDiskError(error, `cannot store ${source.name}`);
    } finally {
      lease[Symbol.dispose]();
      await blocks.removeUnless(contentId, index.usesContent(contentId));
    }
  }

  async #makeBlockImage(source: ImageSource, contentId: string, run: InstallRun): Promise<void> {
    run.signal.throwIfAborted();
    if ((await this.#parts.blocks.sizeOf(contentId)) !== undefined) return;
    try {
      await this.#fetchAndConvert(source, contentId, run);
    } catch (error) {
      const full = isReason(asDiskError(error, ''), 'ResourceExhausted');
      // Layers of earlier pulls are only kept for speed: better slow than not at all.
      if (!full || (await this.#parts.cache.trim(0)) === 0) throw error;
      await this.#fetchAndConvert(source, contentId, run);
    }
  }

  async #fetchAndConvert(source: ImageSource, contentId: string, run: InstallRun): Promise<void> {
    const { cache, blocks, workDirectory } = this.#parts;
    const totalBytes = new Map(source.layers.map(({ digest, size }) => [digest, size]))
      .values()
      .reduce((a, b) => a + b, 0);
    let doneBytes = 0;
    const onBytes = (bytes: number) => {
      doneBytes += bytes;
      run.report({ phase: doneBytes < totalBytes ? 'downloading' : 'converting', doneBytes, totalBytes });
    };
    const fetch = fetchLayers({ source, cache, serial: this.#fetching, workDirectory, signal: run.signal, onBytes });
    try {
      await blocks.make(contentId, fetch.layers, run.signal);
    } catch (error) {
      await fetch.settle();
      // A cached layer may have been damaged since it was verified; the next pull shall fetch it anew.
      if (isReason(error, 'Invalid')) for (const { digest } of source.layers) await cache.drop(digest);
      throw error;
    }
    await fetch.settle();
  }

  #recordOf(source: ImageSource, contentId: string): ImageRecord {
    const { config } = source;
    return {
      version: 1,
      id: source.id,
      contentId,
      tags: [],
      repoDigests: [],
      architecture: config.architecture,
      os: config.os,
      lastUsedMs: this.#parts.clock.now(),
      layers: source.layers,
      configText: source.configText,
      ...(config.created ? { createdAt: config.created } : {}),
      ...(source.manifest ? { manifest: source.manifest } : {}),
    };
  }
}
