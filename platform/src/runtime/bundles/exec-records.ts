/** What is kept of exec processes, on tmpfs: <run>/bundles/execs/<id>.json, where the id is the agent's name for the process. */
import { createHash } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readTextIfExists, writeFileAtomic } from '../../base/files.ts';
import { SerialByKey } from '../../base/serial.ts';
import { decodeRecord, encodeRecord } from '../records/record-json.ts';
import type { BundlePaths } from './bundle-records.ts';
import type { BundleExec, BundleExit, StartBundleExec } from './bundle-runtime.ts';

export interface BundleExecRecord {
  /** Among the containers of its guest. */
  id: string;
  request: StartBundleExec;
  state: BundleExec['state'];
  guestPid: number;
  exit?: BundleExit;
}

const envelope = z.looseObject({
  id: z.string(),
  request: z.looseObject({ containerId: z.string(), execId: z.string() }),
  state: z.enum(['created', 'running', 'stopped']),
});

/** Clients' ids of processes are longer and freer than the agent's, and only unique within their container. */
export const guestIdOf = (containerId: string, execId: string): string =>
  `exec-${createHash('sha256').update(`${containerId}/${execId}`).digest('hex').slice(0, 32)}`;

const directoryOf = (paths: BundlePaths) => join(paths.root(), 'execs');
const fileOf = (paths: BundlePaths, id: string) => join(directoryOf(paths), `${id}.json`);
/** Writes of one record one after the other, each with the state of its own moment. */
const writes = new SerialByKey();

export function saveBundleExec(paths: BundlePaths, record: BundleExecRecord): Promise<void> {
  const file = fileOf(paths, record.id);
  return writes.run(file, async () => {
    await mkdir(directoryOf(paths), { recursive: true, mode: 0o700 });
    await writeFileAtomic(file, encodeRecord(record), { mode: 0o600, durable: false });
  });
}

export function deleteBundleExec(paths: BundlePaths, id: string): Promise<void> {
  const file = fileOf(paths, id);
  return writes.run(file, () => rm(file, { force: true }));
}

/** Whole records only; torn ones were never answered, and are removed. */
export async function loadBundleExecs(paths: BundlePaths): Promise<BundleExecRecord[]> {
  const records: BundleExecRecord[] = [];
  for (const name of await readdir(directoryOf(paths)).catch(() => [] as string[])) {
    const file = join(directoryOf(paths), name);
    try {
      const value = decodeRecord((await readTextIfExists(file)) ?? '');
      if (!envelope.safeParse(value).success) throw new Error('of another form');
      records.push(value as BundleExecRecord);
    } catch {
      await rm(file, { force: true });
    }
  }
  return records;
}
