/** What is kept of exec processes, on tmpfs: <run>/bundles/execs/<id>.json, where the id is the agent's name for the process. */
import { createHash } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readTextIfExists } from '../../base/files.ts';
import { decodeRecord } from '../records/record-json.ts';
import { type BundlePaths, removeRecord, saveRecord } from './bundle-records.ts';
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

export const saveBundleExec = (paths: BundlePaths, record: BundleExecRecord) => saveRecord(paths.execs(), record);
export const deleteBundleExec = (paths: BundlePaths, id: string) => removeRecord(paths.execs(), id);

/** Whole records only; torn ones were never answered, and are removed. */
export async function loadBundleExecs(paths: BundlePaths): Promise<BundleExecRecord[]> {
  const records: BundleExecRecord[] = [];
  for (const name of await readdir(paths.execs()).catch(() => [] as string[])) {
    const file = join(paths.execs(), name);
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
