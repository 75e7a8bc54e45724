/**
 * What is kept of sandboxes and containers of bundles, on tmpfs below <run>/bundles: enough to find everything again.
 *
 *   sandboxes/<id>.json    written before anything is made for the sandbox, the last thing to go
 *   containers/<id>.json   the same for a container
 *   execs/<id>.json        the same for an exec process (exec-records.ts)
 *   hooks/<id>.json        what is owed of a container's hooks on the host (host-hooks.ts)
 *   shares/<sandbox>/      the directory that the machine sees; <container>/rootfs and <container>/mount<n> are mounted below it
 */

import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readTextIfExists, writeVolatileFile } from '../../base/files.ts';
import type { Attachment } from '../../network/network.ts';
import type { MachineShape } from '../../vmm/vmm.ts';
import { decodeRecord, encodeRecord } from '../records/record-json.ts';
import type { BundleExit, BundleStdio, CreateBundleSandbox } from './bundle-runtime.ts';

export interface BundleSandboxRecord {
  id: string;
  request: CreateBundleSandbox;
  /** 'deleting': whoever asked for that has been answered. */
  state: 'creating' | 'ready' | 'notready' | 'deleting';
  message: string;
  createdAtNanos: bigint;
  endedAtNanos?: bigint;
  shape: MachineShape;
  memoryLimitBytes: number;
  attachment?: Attachment;
  /** The container whose hooks ran before the machine was there. */
  hookedFor?: string;
  /** The network namespace that was made for them. */
  ownNetns?: string;
}

export interface BundleContainerRecord {
  id: string;
  sandboxId: string;
  bundle: string;
  rootfs: string;
  stdio: BundleStdio;
  tty: boolean;
  annotations: Record<string, string>;
  memoryLimitBytes: number;
  /** 'creating': never answered; a crash here removes it. */
  state: 'creating' | 'created' | 'running' | 'paused' | 'stopped';
  createdAtNanos: bigint;
  startedAtNanos: bigint;
  guestPid: number;
  exit?: BundleExit;
}

const sandboxEnvelope = z.looseObject({
  id: z.string(),
  request: z.looseObject({ id: z.string(), handler: z.enum(['vm', 'namespace']) }),
  state: z.enum(['creating', 'ready', 'notready', 'deleting']),
  createdAtNanos: z.bigint(),
});
const containerEnvelope = z.looseObject({
  id: z.string(),
  sandboxId: z.string(),
  state: z.enum(['creating', 'created', 'running', 'paused', 'stopped']),
  createdAtNanos: z.bigint(),
});

export class BundlePaths {
  readonly run: string;

  constructor(run: string) {
    this.run = run;
  }

  root = () => join(this.run, 'bundles');
  sandboxes = () => join(this.root(), 'sandboxes');
  containers = () => join(this.root(), 'containers');
  execs = () => join(this.root(), 'execs');
  hooks = () => join(this.root(), 'hooks');
  /** The network namespace that a virtual machine's hooks fill (hooked-network.ts). */
  netns = (sandboxId: string) => join(this.root(), 'netns', machineNameOf(sandboxId));
  shares = () => join(this.root(), 'shares');
  share = (sandboxId: string) => join(this.shares(), sandboxId);
  /** A container's part of the share. */
  part = (sandboxId: string, containerId: string) => join(this.share(sandboxId), containerId);
  /** Short, for sockets lie in it. */
  machine = (sandboxId: string) => join(this.run, 'vm', machineNameOf(sandboxId));

  async make(): Promise<void> {
    for (const directory of [this.sandboxes(), this.containers(), this.execs(), this.hooks(), this.shares()])
      await mkdir(directory, { recursive: true, mode: 0o700 });
  }
}

/** A machine's id is a DNS label of 24 digits; ids of clients are longer and freer. */
export const machineNameOf = (sandboxId: string): string =>
  createHash('sha256').update(`bundle ${sandboxId}`).digest('hex').slice(0, 24);

/** Written, and gone, by the time these return: records of one thing never overtake each other. */
export async function saveRecord(directory: string, record: { id: string }): Promise<void> {
  writeVolatileFile(join(directory, `${record.id}.json`), encodeRecord(record), 0o600);
}

export async function removeRecord(directory: string, id: string): Promise<void> {
  rmSync(join(directory, `${id}.json`), { force: true });
}

/** Whole records only; what else a crash has left (half a write, something torn) was never answered, and is removed. */
export async function loadRecords<T>(directory: string, schema: z.ZodType): Promise<T[]> {
  const records: T[] = [];
  for (const name of await readdir(directory).catch(() => [] as string[])) {
    const file = join(directory, name);
    try {
      const value = name.endsWith('.json') && decodeRecord((await readTextIfExists(file)) ?? '');
      if (!schema.safeParse(value).success) throw new Error('of another form');
      records.push(value as T);
    } catch {
      rmSync(file, { force: true });
    }
  }
  return records;
}

export const saveBundleSandbox = (paths: BundlePaths, record: BundleSandboxRecord) =>
  saveRecord(paths.sandboxes(), record);
export const saveBundleContainer = (paths: BundlePaths, record: BundleContainerRecord) =>
  saveRecord(paths.containers(), record);
export const deleteBundleSandbox = (paths: BundlePaths, id: string) => removeRecord(paths.sandboxes(), id);
export const deleteBundleContainer = (paths: BundlePaths, id: string) => removeRecord(paths.containers(), id);
export const loadBundleSandboxes = (paths: BundlePaths) =>
  loadRecords<BundleSandboxRecord>(paths.sandboxes(), sandboxEnvelope);
export const loadBundleContainers = (paths: BundlePaths) =>
  loadRecords<BundleContainerRecord>(paths.containers(), containerEnvelope);
