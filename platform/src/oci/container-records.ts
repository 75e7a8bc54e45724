/**
 * Which containers the command line made: one small file each on tmpfs, whole or not at all. The file comes before the container and goes
 * after it, so that nothing is forgotten.
 */
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';
import { z } from 'zod';
import { writeVolatileFile } from '../base/files.ts';

const recordSchema = z.object({
  /** The container's id at the bundle runtime: of any length and root, a name of fixed form. */
  key: z.string(),
  root: z.string(),
  id: z.string(),
  bundle: z.string(),
  rootfs: z.string(),
  sandboxId: z.string(),
  /** The process of the host that stands for it. */
  holder: z.object({ pid: z.number(), startTime: z.string() }),
  annotations: z.record(z.string(), z.string()),
  createdAtMs: z.number(),
});

export type ContainerRecord = z.infer<typeof recordSchema>;

export interface ContainerRecords {
  all(): ContainerRecord[];
  /** Throws NotFound in the words that callers of runc look for. */
  find(root: string, id: string): ContainerRecord;
  put(record: ContainerRecord): Promise<void>;
  /** Idempotent. */
  remove(key: string): Promise<void>;
}

export function keyOf(root: string, id: string): string {
  return `oci-${createHash('sha256').update(`${root}\0${id}`).digest('hex').slice(0, 32)}`;
}

export async function openContainerRecords(directory: string): Promise<ContainerRecords> {
  const records = new Map<string, ContainerRecord>();
  const pathOf = (key: string) => join(directory, `${key}.json`);
  for (const name of await readdir(directory)) {
    if (!name.startsWith('oci-') || !name.endsWith('.json')) continue;
    const record = recordSchema.parse(JSON.parse(await readFile(join(directory, name), 'utf8')));
    records.set(record.key, record);
  }
  return {
    all: () => [...records.values()],
    find(root, id) {
      const record = records.get(keyOf(root, id));
      if (!record) throw new SampanError('NotFound', `container ${id} does not exist`);
      return record;
    },
    async put(record) {
      writeVolatileFile(pathOf(record.key), JSON.stringify(record), 0o600);
      records.set(record.key, record);
    },
    async remove(key) {
      rmSync(pathOf(key), { force: true });
      records.delete(key);
    },
  };
}
