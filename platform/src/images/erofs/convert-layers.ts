/** Turns verified layer blobs on disk into one EROFS file. Knows nothing of registries or of where the file will live. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { isReason, messageOf, SampanError } from '@sampan/api/errors.ts';
import { type Compression, decompress, detectCompression, isBrokenData } from './decompress.ts';
import { ErofsWriter } from './erofs-writer.ts';
import { TarParser } from './tar-parser.ts';

/** A layer as a file that already matches its digest. */
export interface LayerFile {
  path: string;
  /** For messages: the digest it was fetched by. */
  digest: string;
  /** Digest of the uncompressed tar, from the image's config. */
  diffId: string;
}

export interface ConvertLimits {
  /** Uncompressed bytes of all layers. */
  maxUncompressedBytes: number;
  /** A layer may grow to `ratioFreeBytes` however small it was, then only to `maxRatio` times its compressed size. */
  maxRatio: number;
  ratioFreeBytes: number;
}

const defaultConvertLimits: ConvertLimits = {
  maxUncompressedBytes: 64 * 2 ** 30,
  maxRatio: 200,
  ratioFreeBytes: 2 ** 30,
};

export interface ConvertOptions {
  /** Lowest first; each is asked for when its turn comes, so that later ones may still be under way. */
  layers: AsyncIterable<LayerFile> | Iterable<LayerFile>;
  /** A new file's path. */
  out: string;
  uuid: Buffer;
  signal?: AbortSignal;
  limits?: ConvertLimits;
}

/** Throws Invalid for broken or hostile layers, naming the layer. On any error the file is worthless; removing it is the caller's part. */
export async function convertLayers(
  options: ConvertOptions,
): Promise<{ inodes: number; blocks: number; wastedBlocks: number }> {
  const limits = options.limits ?? defaultConvertLimits;
  const file = await open(options.out, 'wx', 0o444);
  try {
    const writer = new ErofsWriter(file);
    let total = 0;
    for await (const layer of options.layers) {
      try {
        total += await addLayer(
          writer,
          layer,
          { ...limits, maxUncompressedBytes: limits.maxUncompressedBytes - total },
          options.signal,
        );
      } catch (error) {
        if (!isReason(error)) throw error;
        throw new SampanError(error.reason, `layer ${layer.digest}: ${error.message}`, {}, { cause: error });
      }
    }
    const result = await writer.finish(options.uuid);
    await file.sync();
    return result;
  } finally {
    await file.close();
  }
}

async function addLayer(
  writer: ErofsWriter,
  layer: LayerFile,
  limits: ConvertLimits,
  signal?: AbortSignal,
): Promise<number> {
  writer.beginLayer();
  const { compression, compressedBytes } = await inspect(layer.path);
  const source = createReadStream(layer.path, { highWaterMark: 256 << 10, ...(signal ? { signal } : {}) });
  const allowed = Math.min(limits.maxUncompressedBytes, limits.ratioFreeBytes + compressedBytes * limits.maxRatio);
  const hash = createHash('sha256');
  const parser = new TarParser(writer);
  let bytes = 0;
  try {
    for await (const chunk of decompress(source, compression)) {
      bytes += chunk.length;
      if (bytes > allowed) {
        const problem = `grows beyond ${allowed} bytes when decompressed, from ${compressedBytes}; the limit protects the node`;
        throw new SampanError('Invalid', problem);
      }
      hash.update(chunk);
      await parser.write(chunk);
    }
  } catch (error) {
    if (!isBrokenData(error)) throw error;
    throw new SampanError('Invalid', `cannot be decompressed: ${messageOf(error)}`, {}, { cause: error as Error });
  } finally {
    source.destroy();
  }
  parser.end();
  const found = `sha256:${hash.digest('hex')}`;
  if (found !== layer.diffId) {
    throw new SampanError('Invalid', `its uncompressed content is ${found}, the image's config says ${layer.diffId}`);
  }
  return bytes;
}

async function inspect(path: string): Promise<{ compression: Compression; compressedBytes: number }> {
  const file = await open(path, 'r');
  try {
    const head = Buffer.alloc(4);
    await file.read(head, 0, 4, 0);
    return { compression: detectCompression(head), compressedBytes: (await file.stat()).size };
  } finally {
    await file.close();
  }
}
