/**
 * Makes the volumes of a container in the guest: reads their content on the host first, then sends the calls one behind the other
 * without waiting (the agent carries them out in order). A volume is made once a sandbox.
 */
import { lstat } from 'node:fs/promises';
import { SampanError } from '@sampan/api/errors.ts';
import type { Agent, GuestVolume, VolumeFile } from '../agent/agent.ts';
import type { Context } from '../context.ts';
import { saveSandbox, type VolumeRecord } from '../records/sandbox-record.ts';
import type { Sandbox } from '../sandbox/vm/sandbox.ts';
import { putIntoShare } from '../sandbox/vm/sandbox-shares.ts';
import { maxFileBytes, readBounded, readVolume } from './volume-files.ts';
import type { PlannedVolume } from './volume-plan.ts';
import { VolumeSync } from './volume-sync.ts';

export interface LoadedVolume {
  record: VolumeRecord;
  volume: GuestVolume;
  files: VolumeFile[] | undefined;
}

/** The host's side: reads what the guest does not have yet. */
export function loadVolumes(sandbox: Sandbox, planned: PlannedVolume[]): Promise<LoadedVolume[]> {
  return Promise.all(planned.filter(({ volume }) => !sandbox.volumes.has(volume.id)).map((one) => load(sandbox, one)));
}

async function load(sandbox: Sandbox, { volume, hostPath, shareMount }: PlannedVolume): Promise<LoadedVolume> {
  const record: VolumeRecord = { id: volume.id, hostPath, kind: volume.kind };
  if (shareMount) await putIntoShare(sandbox, shareMount);
  if (volume.sizeBytes !== undefined) record.sizeBytes = volume.sizeBytes;
  if (volume.kind === 'file') {
    const file = await readSingleFile(hostPath);
    const { mode, uid, gid } = file;
    return { record, volume: { ...volume, mode, uid, gid }, files: [file] };
  }
  if (volume.kind !== 'files') return { record, volume, files: undefined };
  const { files, dataTarget, mode, uid, gid } = await readVolume(hostPath);
  if (dataTarget !== undefined) record.dataTarget = dataTarget;
  return { record, volume: { ...volume, mode, uid, gid }, files };
}

async function readSingleFile(path: string): Promise<VolumeFile> {
  const stat = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT' ? new SampanError('NotFound', `file ${path} is not on this node`) : error;
  });
  if (!stat.isFile()) throw new SampanError('Invalid', `${path} is not a regular file`);
  if (stat.size > maxFileBytes) throw new SampanError('Invalid', `file ${path} is over ${maxFileBytes} bytes`);
  const content = (await readBounded(path, maxFileBytes)).toString('base64');
  return { path: '', type: 'file', mode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid, content };
}

/** The guest's side. Calls are made before this returns; what is returned tells when each volume is there. */
export function makeVolumes(sandbox: Sandbox, agent: Agent, loaded: LoadedVolume[]): Promise<void>[] {
  return loaded.map(({ volume, files, record }) => {
    const known = sandbox.volumes.get(volume.id);
    if (known) return known;
    const calls = [agent.createVolume(volume), ...(files ? [agent.putFiles(volume.id, files)] : [])];
    const made = Promise.all(calls).then(() => {});
    sandbox.volumes.set(volume.id, made);
    made.then(
      () => sandbox.record.volumes.push(record),
      // The next container that wants it tries again.
      () => sandbox.volumes.delete(volume.id),
    );
    return made;
  });
}

/** Follows changes of the sandbox's file volumes that are not followed yet. */
export function watchVolumes(context: Context, sandbox: Sandbox): void {
  for (const record of sandbox.record.volumes) {
    if (record.kind !== 'files' || sandbox.syncs.has(record.id)) continue;
    const { clock, log } = context.options;
    const onChange = () => update(context, sandbox, record);
    const sync = new VolumeSync({ root: record.hostPath, dataTarget: record.dataTarget, onChange, clock, log });
    sandbox.syncs.set(record.id, sync);
  }
}

async function update(context: Context, sandbox: Sandbox, record: VolumeRecord): Promise<string | undefined> {
  const agent = await sandbox.link?.ready();
  const { files, dataTarget } = await readVolume(record.hostPath);
  await agent?.putFiles(record.id, files);
  if (dataTarget !== undefined) record.dataTarget = dataTarget;
  await saveSandbox(context.paths, sandbox.record);
  return dataTarget;
}
