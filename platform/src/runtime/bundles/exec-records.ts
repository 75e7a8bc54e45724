/** What is kept of exec processes, on tmpfs: <run>/bundles/execs/<id>.json, where the id is the agent's name for the process. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { type BundlePaths, loadRecords, removeRecord, saveRecord } from './bundle-records.ts';
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

export const loadBundleExecs = (paths: BundlePaths) => loadRecords<BundleExecRecord>(paths.execs(), envelope);
