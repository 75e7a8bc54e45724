/**
 * What is kept of a container under run/pods/<sandbox>/containers/<id>.json. Environment variables are left out: they hold secrets and
 * nothing needs them after the guest has them.
 *
 *   creating ──▶ created ──▶ running ──▶ exited ──▶ (removed)
 *      │            └──────── start failed ──▲
 *      └── a crash here: never answered, so it is removed
 */
import { readdir, rm } from 'node:fs/promises';
import { z } from 'zod';
import { readTextIfExists, writeFileAtomic } from '../../base/files.ts';
import { SerialByKey } from '../../base/serial.ts';
import type { GuestMount, GuestUser } from '../agent/agent.ts';
import type * as cri from '../generated/cri.ts';
import { decodeRecord, encodeRecord } from './record-json.ts';
import type { Paths } from './sandbox-record.ts';

/** Where the log file stood when it was opened: the base from which its own content counts. */
export interface LogBase {
  /** Inode of the file, as it is found again when it was renamed meanwhile. */
  inode: number;
  stdout: bigint;
  stderr: bigint;
}

export interface ContainerExit {
  exitCode: number;
  reason: string;
  message: string;
  finishedAtNanos: bigint;
}

export interface ContainerRecord {
  id: string;
  sandboxId: string;
  state: 'creating' | 'created' | 'running' | 'exited';
  /** Without envs. */
  config: cri.ContainerConfig;
  /** It had some, and a server before this one left them out here. */
  envsLeftOut?: true;
  imageId: string;
  /** What pulls of the image are named by: a repo digest, or the id. */
  imageRef: string;
  /** Absolute; empty when no log is kept. */
  logPath: string;
  /** Number of the signal that StopContainer sends first. */
  stopSignal: number;
  mounts: GuestMount[];
  /** Whom its first process runs as, as the image's names came out. */
  user?: GuestUser;
  createdAtNanos: bigint;
  startedAtNanos: bigint;
  exit?: ContainerExit;
  logBase?: LogBase;
}

const envelope = z.looseObject({
  id: z.string().regex(/^[0-9a-f]{64}$/),
  sandboxId: z.string(),
  state: z.enum(['creating', 'created', 'running', 'exited']),
  config: z.looseObject({ metadata: z.looseObject({ name: z.string() }) }),
  createdAtNanos: z.bigint(),
  startedAtNanos: z.bigint(),
  mounts: z.array(z.looseObject({ volumeId: z.string(), containerPath: z.string() })),
});

/** Writes of one record one after the other, each with the state of its own moment: an older one never comes last. */
const writes = new SerialByKey();

export function saveContainer(paths: Paths, record: ContainerRecord): Promise<void> {
  const file = paths.containerFile(record.sandboxId, record.id);
  return writes.run(file, () => {
    const { envs = [], ...config } = record.config;
    const kept: ContainerRecord = { ...record, config, ...(envs.length > 0 ? { envsLeftOut: true } : {}) };
    return writeFileAtomic(file, encodeRecord(kept), { mode: 0o600, durable: false });
  });
}

/** The whole records of a sandbox's containers; anything else in the directory is left out. */
export async function loadContainers(paths: Paths, sandboxId: string): Promise<ContainerRecord[]> {
  const names = await readdir(paths.containers(sandboxId)).catch(() => [] as string[]);
  const records: ContainerRecord[] = [];
  for (const name of names) {
    if (!name.endsWith('.json')) continue;
    const text = await readTextIfExists(paths.containerFile(sandboxId, name.slice(0, -5)));
    const value = text === undefined ? undefined : parse(text);
    if (value) records.push(value);
  }
  return records;
}

function parse(text: string): ContainerRecord | undefined {
  try {
    const value = decodeRecord(text);
    return envelope.safeParse(value).success ? (value as ContainerRecord) : undefined;
  } catch {
    return undefined;
  }
}

export function deleteContainer(paths: Paths, record: ContainerRecord): Promise<void> {
  const file = paths.containerFile(record.sandboxId, record.id);
  return writes.run(file, () => rm(file, { force: true }));
}
