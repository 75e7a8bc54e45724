/**
 * What is kept of a sandbox under run/pods/<id>/sandbox.json: enough to find everything it holds after a crash.
 * The file is written before anything is made for the sandbox, and is the last thing to go.
 *
 *   creating ──▶ ready ──▶ notready ──▶ (removed)
 *      └── a crash here: never answered, so it is removed
 */
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readTextIfExists, writeFileAtomic } from '../../base/files.ts';
import { SerialByKey } from '../../base/serial.ts';
import type { Attachment } from '../../network/network.ts';
import type { MachineShape } from '../../vmm/vmm.ts';
import type { GuestVolume } from '../agent/agent.ts';
import type * as cri from '../generated/cri.ts';
import { decodeRecord, encodeRecord } from './record-json.ts';

/** A volume that the guest has. */
export interface VolumeRecord {
  id: string;
  /** The volume's root (or the file) on the host: what CRI mounts name. */
  hostPath: string;
  kind: GuestVolume['kind'];
  sizeBytes?: number;
  /** Where the `..data` link pointed when the guest last got the content. */
  dataTarget?: string;
}

export interface SandboxRecord {
  id: string;
  state: 'creating' | 'ready' | 'notready';
  /** Why it is not ready, when that was not asked for. */
  message: string;
  config: cri.PodSandboxConfig;
  runtimeHandler: string;
  createdAtNanos: bigint;
  shape: MachineShape;
  memoryLimitBytes: number;
  scratchBytes: number;
  network?: Attachment;
  /** Image id to disk slot. */
  images: Record<string, string>;
  volumes: VolumeRecord[];
  /** Its machine has the share for mounts of the host's directories. */
  shares?: boolean;
}

const envelope = z.looseObject({
  id: z.string().regex(/^[0-9a-f]{64}$/),
  state: z.enum(['creating', 'ready', 'notready']),
  config: z.looseObject({ metadata: z.looseObject({ uid: z.string(), name: z.string(), namespace: z.string() }) }),
  createdAtNanos: z.bigint(),
  shape: z.object({ vcpus: z.number(), memoryMib: z.number() }),
  images: z.record(z.string(), z.string()),
  volumes: z.array(z.looseObject({ id: z.string(), hostPath: z.string(), kind: z.string() })),
});

/** Where things lie. `run` is tmpfs, `home` a disk. */
export class Paths {
  readonly run: string;
  readonly home: string;

  constructor(run: string, home: string) {
    this.run = run;
    this.home = home;
  }

  pods = () => join(this.run, 'pods');
  pod = (id: string) => join(this.run, 'pods', id);
  sandboxFile = (id: string) => join(this.pod(id), 'sandbox.json');
  containers = (id: string) => join(this.pod(id), 'containers');
  containerFile = (sandboxId: string, id: string) => join(this.containers(sandboxId), `${id}.json`);
  machines = () => join(this.run, 'vm');
  /** Short, because a machine's sockets lie in it and a socket's path has at most 107 bytes. */
  machine = (id: string) => join(this.machines(), machineName(id));
  /** What a machine's share shows before anything is mounted in it: empty places. */
  share = (id: string) => join(this.shares(), machineName(id));
  shares = () => join(this.run, 'shares');
  scratches = () => join(this.home, 'scratch');
  scratch = (id: string) => join(this.scratches(), `${id}.ext4`);
}

/** A machine's id is a DNS label: the first 24 digits of its sandbox's. */
export const machineName = (sandboxId: string): string => sandboxId.slice(0, 24);

/** Writes of one record one after the other, each with the state of its own moment: an older one never comes last. */
const writes = new SerialByKey();

/** The first trace of a sandbox. */
export async function createSandboxDirectory(paths: Paths, id: string): Promise<void> {
  await mkdir(paths.containers(id), { recursive: true, mode: 0o700 });
}

export function saveSandbox(paths: Paths, record: SandboxRecord): Promise<void> {
  const file = paths.sandboxFile(record.id);
  // Not fsynced: run/ is tmpfs, and a machine that loses power loses its Pods with it.
  return writes.run(file, () => writeFileAtomic(file, encodeRecord(record), { mode: 0o600, durable: false }));
}

/** Undefined when there is no whole record: the sandbox was never begun in earnest. */
export async function loadSandbox(paths: Paths, id: string): Promise<SandboxRecord | undefined> {
  const text = await readTextIfExists(paths.sandboxFile(id));
  if (text === undefined) return undefined;
  try {
    const value = decodeRecord(text);
    const parsed = envelope.safeParse(value);
    return parsed.success && parsed.data.id === id ? (value as SandboxRecord) : undefined;
  } catch {
    return undefined;
  }
}

export async function listSandboxIds(paths: Paths): Promise<string[]> {
  return readdir(paths.pods()).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
}

export function deleteSandbox(paths: Paths, id: string): Promise<void> {
  return writes.run(paths.sandboxFile(id), () => removePodDirectory(paths, id));
}

/** Tried again when a file appears meanwhile: the last word of a container that just ended may be on its way to the disk. */
export function removePodDirectory(paths: Paths, id: string): Promise<void> {
  return rm(paths.pod(id), { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
}
