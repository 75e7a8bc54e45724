/** The servers of a machine's shares, found by the files that the launcher wrote (host/launcher/src/share.rs). */
import { join } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';
import { run } from '../../base/child.ts';
import { readTextIfExists } from '../../base/files.ts';
import { makeSharePlace } from '../share-place.ts';
import type { ShareMount } from '../vmm.ts';
import { isAlive, readProcessFile } from '../vmm-process.ts';
import type { MachineRecord } from './machine-record.ts';

type SharesOfRecord = NonNullable<MachineRecord['shares']>;

/** Index of the first share whose server is gone. */
export async function firstDead(directory: string, shares: SharesOfRecord): Promise<number | undefined> {
  for (const index of shares.keys()) {
    const process = await readProcessFile(directory, `share${index}`);
    if (!process || !(await isAlive(process))) return index;
  }
  return undefined;
}

/** What to tell of it: with the server's own last words, which a guest may have caused. */
export async function shareServerWords(directory: string, shares: SharesOfRecord, index: number): Promise<string> {
  const log = await readTextIfExists(join(directory, `share${index}.log`)).catch(() => undefined);
  const words = log?.trim().split('\n').at(-1)?.slice(-300);
  return `the file server of share ${shares[index]?.tag} ended${words ? `: ${words}` : ''}`;
}

/** Machine.mountInShare: a place of the right kind in the share's directory, and the launcher mounts over it where the server is. */
export async function mountInShare(
  launcherPath: string,
  machine: { id: string; directory: string; shares: SharesOfRecord },
  mount: ShareMount,
): Promise<void> {
  const index = machine.shares.findIndex(({ tag }) => tag === mount.tag);
  const share = machine.shares[index];
  if (mount.propagation === 'shared')
    throw new SampanError(
      'Unsupported',
      `machine ${machine.id}: mounts of a VM stay in the VM, its kernel is not the host's`,
    );
  if (!share) throw new SampanError('NotFound', `machine ${machine.id} has no share ${mount.tag}`);
  await makeSharePlace(share.directory, mount);
  const server = await readProcessFile(machine.directory, `share${index}`);
  if (!server || !(await isAlive(server)))
    throw new SampanError('InternalError', `machine ${machine.id}: share ${mount.tag} has no server`);
  const access = !mount.readOnly ? 'rw' : mount.recursive ? 'rr' : 'r';
  await run(launcherPath, ['mount', String(server.pid), mount.name, access, mount.propagation, mount.hostPath]);
}
