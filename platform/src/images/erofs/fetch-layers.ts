/** Brings an image's layers into the blob cache, some at a time, and hands them out in order as they arrive. */
import { join } from 'node:path';
import { randomHex } from '../../base/ids.ts';
import type { SerialByKey } from '../../base/serial.ts';
import type { BlobCache } from './blob-cache.ts';
import type { LayerFile } from './convert-layers.ts';
import type { ImageSource, SourceLayer } from './image-source.ts';

const parallelDownloads = 3;

export interface FetchOptions {
  source: ImageSource;
  cache: BlobCache;
  /** One download per digest, whoever wants it. */
  serial: SerialByKey;
  workDirectory: string;
  signal: AbortSignal;
  onBytes: (bytes: number) => void;
}

/** Call `settle` when done with it, also after an error: nothing runs on behind the caller's back. */
export function fetchLayers(options: FetchOptions): { layers: AsyncIterable<LayerFile>; settle: () => Promise<void> } {
  const { source, cache } = options;
  const wanted = [...new Map(source.layers.map((layer) => [layer.digest, layer])).values()];
  const ready = new Map<string, PromiseWithResolvers<void>>();
  for (const { digest } of wanted) {
    const promise = Promise.withResolvers<void>();
    // Whoever iterates sees the error; an unread one is no crash.
    promise.promise.catch(() => {});
    ready.set(digest, promise);
  }
  const queue = wanted.values();
  const enough = new AbortController();
  const signal = AbortSignal.any([options.signal, enough.signal]);
  let failure: unknown;
  const worker = async () => {
    for (const layer of queue) {
      const result = ready.get(layer.digest)!;
      if (failure) result.reject(failure);
      else {
        await fetchOne({ ...options, signal }, layer).then(result.resolve, (error) => {
          failure ??= error;
          enough.abort(error);
          result.reject(error);
        });
      }
    }
  };
  const workers = Array.from({ length: parallelDownloads }, worker);
  async function* inOrder(): AsyncGenerator<LayerFile> {
    for (const { digest, diffId } of source.layers) {
      await ready.get(digest)!.promise;
      yield { path: cache.pathOf(digest), digest, diffId };
    }
  }
  return {
    layers: inOrder(),
    settle: async () => {
      failure ??= new Error('no longer wanted');
      enough.abort(failure);
      await Promise.all(workers);
    },
  };
}

function fetchOne(options: FetchOptions, layer: SourceLayer): Promise<void> {
  const { source, cache, workDirectory, onBytes, signal } = options;
  return options.serial.run(layer.digest, async () => {
    if (await cache.has(layer.digest, layer.size)) return onBytes(layer.size);
    const path = join(workDirectory, `layer-${randomHex(6)}`);
    await source.fetch(layer, { path, onBytes, signal });
    await cache.adopt(path, layer.digest);
  });
}
