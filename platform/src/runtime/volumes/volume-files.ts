/** Reads a file volume (configMap, secret, projected, downwardAPI) from the host as the guest gets it: kubelet's AtomicWriter layout, bounded. */
import { constants } from 'node:fs';
import { lstat, open, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';
import type { VolumeFile } from '../agent/agent.ts';

/** What putFiles takes at once. */
const maxVolumeBytes = 8 * 1024 * 1024;
/** Of a single file: a larger one is refused. */
export const maxFileBytes = 1024 * 1024;
const maxEntries = 10_000;

export interface VolumeContent {
  files: VolumeFile[];
  /** Where `..data` points; undefined for a plain directory. */
  dataTarget: string | undefined;
  mode: number;
  uid: number;
  gid: number;
}

/** Throws NotFound when there is no such directory, Invalid when it holds more than 8 MiB or 10 000 entries. */
export async function readVolume(root: string): Promise<VolumeContent> {
  const stat = await lstat(root).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT' ? new SampanError('NotFound', `volume ${root} is not on this node`) : error;
  });
  const dataTarget = await readlink(join(root, '..data')).catch(() => undefined);
  const collected: Collected = { files: [], bytes: 0, root };
  await walk(collected, dataTarget === undefined ? root : join(root, dataTarget), '');
  return { files: collected.files, dataTarget, mode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid };
}

interface Collected {
  files: VolumeFile[];
  bytes: number;
  root: string;
}

async function walk(collected: Collected, directory: string, below: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    // AtomicWriter's own links and directories, when there is no ..data to look through.
    if (below === '' && entry.name.startsWith('..')) continue;
    const path = below ? `${below}/${entry.name}` : entry.name;
    const full = join(directory, entry.name);
    const { mode, uid, gid, size } = await lstat(full);
    const common = { path, mode: mode & 0o7777, uid, gid };
    if (collected.files.length >= maxEntries) throw tooBig(collected.root, `more than ${maxEntries} entries`);
    if (entry.isDirectory()) {
      collected.files.push({ ...common, type: 'dir' });
      await walk(collected, full, path);
    } else if (entry.isSymbolicLink()) {
      collected.files.push({ ...common, type: 'symlink', target: await readlink(full) });
    } else if (entry.isFile()) {
      collected.bytes += size;
      if (collected.bytes > maxVolumeBytes) throw tooBig(collected.root, 'more than 8 MiB');
      collected.files.push({
        ...common,
        type: 'file',
        content: (await readBounded(full, maxVolumeBytes)).toString('base64'),
      });
    }
  }
}

/** At most `limit` bytes, never through a link: the directory may be written to meanwhile. */
export async function readBounded(path: string, limit: number): Promise<Buffer> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const { size } = await file.stat();
    const buffer = Buffer.alloc(Math.min(size, limit));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

const tooBig = (root: string, what: string) =>
  new SampanError('Invalid', `volume ${root} holds ${what}, which is the most that is copied into a VM`);
