/** What the store knows of one image, as a JSON file named by the image's id. The block image stands elsewhere. */
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '@sampan/api/errors.ts';
import { z } from 'zod';
import { syncDirectory, writeFileAtomic } from '../../base/files.ts';
import type { Logger } from '../../base/log.ts';
import type { ImageConfig } from '../images.ts';
import type { ConfigFile } from './manifest.ts';

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);

const recordSchema = z.object({
  version: z.literal(1),
  id: digest,
  /** Names the block image: digest over the layers. */
  contentId: z.string().regex(/^[0-9a-f]{64}$/),
  /** Should a crash leave a tag with two images, the later one holds it. */
  tags: z.array(z.object({ name: z.string(), atMs: z.number() })),
  repoDigests: z.array(z.string()),
  architecture: z.string(),
  os: z.string(),
  createdAt: z.string().optional(),
  lastUsedMs: z.number(),
  layers: z.array(z.object({ digest, size: z.number(), mediaType: z.string(), diffId: digest })),
  /** The config's very bytes: pushing needs them, and `id` is their digest. */
  configText: z.string(),
  /** The manifest's very bytes, where the image came with one. */
  manifest: z.object({ text: z.string(), mediaType: z.string() }).optional(),
});

export type ImageRecord = z.infer<typeof recordSchema>;

const suffix = '.json';

const fileOf = (directory: string, id: string): string => join(directory, `${id.slice('sha256:'.length)}${suffix}`);

export async function saveRecord(directory: string, record: ImageRecord): Promise<void> {
  await writeFileAtomic(fileOf(directory, record.id), JSON.stringify(record));
}

export async function deleteRecord(directory: string, id: string): Promise<void> {
  await rm(fileOf(directory, id), { force: true });
  await syncDirectory(directory);
}

/** All readable records; a broken file is set aside in the log, not fatal: its image can be pulled again. */
export async function loadRecords(directory: string, log: Logger): Promise<Map<string, ImageRecord>> {
  const records = new Map<string, ImageRecord>();
  for (const name of await readdir(directory)) {
    const path = join(directory, name);
    if (!name.endsWith(suffix)) {
      await rm(path, { force: true });
      continue;
    }
    try {
      const record = recordSchema.parse(JSON.parse(await readFile(path, 'utf8')));
      records.set(record.id, record);
    } catch (error) {
      log.warn({ path, error: messageOf(error) }, 'image record cannot be read and is removed; pull the image again');
      await rm(path, { force: true });
    }
  }
  return records;
}

/** The config as a container runtime wants it: what is null or absent in the file is absent. */
export function runtimeConfig(file: ConfigFile): ImageConfig {
  const config = Object.entries(file.config ?? {}).filter(([, value]) => value !== null && value !== undefined);
  return Object.fromEntries(config) as ImageConfig;
}
