/**
 * Puts the files of a volume in place all at once, in the layout kubelet made known: files lie in a directory named by time, `..data`
 * points at it, and what a container sees are links through `..data`. One rename changes everything.
 *
 *   <volume>/..2024_05_01_10_00_00.123456789/key     <volume>/..data -> ..2024_...     <volume>/key -> ..data/key
 */
import { randomInt } from 'node:crypto';
import {
  chmod,
  chown,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';

export interface VolumeContent {
  /** By path relative to the volume, without `..`. */
  files: Map<string, { data: Uint8Array; mode: number; uid?: number }>;
  /** Group that owns everything and may read it (fsGroup). */
  gid?: number;
}

const dataLink = '..data';
/** What a group may do with the files of a read-only volume, and with its directories. */
const groupRead = 0o440;
const groupEnter = 0o110;
const setGid = 0o2000;

/** Idempotent; returns whether anything had to be changed. `nowMs` names the new directory. */
export async function writeVolume(directory: string, content: VolumeContent, nowMs: number): Promise<boolean> {
  await mkdir(directory, { recursive: true, mode: 0o755 });
  const before = await readlink(join(directory, dataLink)).catch(() => undefined);
  if (before && (await holds(join(directory, before), content))) return false;
  const name = timestampName(nowMs);
  await fill(join(directory, name), content);
  await own(directory, content);
  await symlink(name, join(directory, `${dataLink}_tmp`)).catch(async () => {
    // A server that was killed here left its link.
    await rm(join(directory, `${dataLink}_tmp`), { force: true });
    await symlink(name, join(directory, `${dataLink}_tmp`));
  });
  await rename(join(directory, `${dataLink}_tmp`), join(directory, dataLink));
  await link(directory, content);
  await sweep(directory, name);
  return true;
}

async function fill(target: string, content: VolumeContent): Promise<void> {
  await mkdir(target, { mode: 0o755 });
  await own(target, content);
  const made = new Set(['.']);
  for (const [path, file] of content.files) {
    for (const parent of parentsOf(path)) {
      if (made.has(parent)) continue;
      made.add(parent);
      await mkdir(join(target, parent), { mode: 0o755 });
      await own(join(target, parent), content);
    }
    const mode = content.gid === undefined ? file.mode : file.mode | groupRead;
    await writeFile(join(target, path), file.data, { mode });
    await chmod(join(target, path), mode);
    if (content.gid !== undefined || file.uid !== undefined)
      await chown(join(target, path), file.uid ?? 0, content.gid ?? 0);
  }
}

async function own(directory: string, content: VolumeContent): Promise<void> {
  if (content.gid === undefined) return;
  await chown(directory, 0, content.gid);
  await chmod(directory, 0o755 | groupRead | groupEnter | setGid);
}

/** Links for the first part of every path, and none for what is no longer there. */
async function link(directory: string, content: VolumeContent): Promise<void> {
  const wanted = new Set([...content.files.keys()].map(firstPart));
  const present = (await readdir(directory)).filter((entry) => !entry.startsWith('..'));
  for (const name of wanted) if (!present.includes(name)) await symlink(join(dataLink, name), join(directory, name));
  for (const name of present) if (!wanted.has(name)) await rm(join(directory, name), { force: true, recursive: true });
}

/** Removes the directories of earlier contents, also of writes that a crash cut short. */
async function sweep(directory: string, current: string): Promise<void> {
  for (const entry of await readdir(directory))
    if (entry.startsWith('..') && entry !== current && !entry.startsWith(dataLink))
      await rm(join(directory, entry), { recursive: true, force: true });
}

async function holds(directory: string, content: VolumeContent): Promise<boolean> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
  if (entries.filter((entry) => entry.isFile()).length !== content.files.size) return false;
  for (const [path, file] of content.files) {
    const present = await readFile(join(directory, path)).catch(() => undefined);
    if (!present || Buffer.compare(present, file.data) !== 0) return false;
    const { mode } = await lstat(join(directory, path));
    const wanted = content.gid === undefined ? file.mode : file.mode | groupRead;
    if ((mode & 0o7777) !== wanted) return false;
  }
  return true;
}

function parentsOf(path: string): string[] {
  const parent = dirname(path);
  return parent === '.' ? [] : [...parentsOf(parent), parent];
}

const firstPart = (path: string): string => path.split('/')[0]!;

function timestampName(nowMs: number): string {
  const stamp = new Date(nowMs).toISOString().slice(0, 19).replace(/[-:T]/g, '_');
  return `..${stamp}.${randomInt(1_000_000_000).toString().padStart(9, '0')}`;
}
