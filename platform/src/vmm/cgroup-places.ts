/**
 * Where a machine's control groups go in the host's hierarchies, and what has to be handed down to them in version 2 (cgroups(7)).
 * Owns no directory: the drivers make and remove theirs.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';
import type { Clock } from '../base/clock.ts';
import type { CgroupParent } from './vmm.ts';

/** How long a process that ends with a machine may take to leave the group. */
const leaveMs = 5_000;
const leavePauseMs = 5;

export interface PlacesOptions {
  /** Where the hierarchies are mounted. */
  roots: readonly string[];
  /** The instance's. */
  tag: string;
  /** The machine's. */
  name: string;
  /** Of one that is the machine's alone what it is in counts, since it goes itself. */
  parent?: CgroupParent | undefined;
}

/**
 * One path for each hierarchy: beneath the parent, or in the instance's own group. Whoever names a parent may have made it in the hierarchies that count
 * for it and not in others; these keep the instance's own, so that nothing is made that nobody removes. One that is nowhere is made everywhere.
 */
export function placesOf({ roots, tag, name, parent }: PlacesOptions): string[] {
  const own = (root: string) => join(root, `sampan-${tag}`, name);
  if (parent === undefined) return roots.map(own);
  const { path, isOwn } = parent;
  const isThere = (root: string) => existsSync(join(root, isOwn ? dirname(path) : path));
  // A slice of systemd's is systemd's to make.
  const isNowhere = !roots.some(isThere) && !path.endsWith('.slice');
  return roots.map((root) => (isNowhere || isThere(root) ? join(root, path, `sampan-${tag}-${name}`) : own(root)));
}

/** Those of these that are beneath a group that somebody named. */
const parentsOf = (paths: readonly string[]) =>
  paths.filter((path) => basename(path).startsWith('sampan-')).map((path) => dirname(path));

/**
 * The groups that were made for these alone (CgroupParent.isOwn), where no other groups are in them; who was counted there
 * (countBeside) may be gone a moment later. Idempotent.
 */
export async function removeOwnedParents(paths: readonly string[], clock: Clock): Promise<void> {
  const untilMs = clock.monotonicMs() + leaveMs;
  await Promise.all(parentsOf(paths).map((path) => removeOnceLeft(path, clock, untilMs)));
}

async function removeOnceLeft(path: string, clock: Clock, untilMs: number): Promise<void> {
  for (;;) {
    const code = await rmdir(path).then(
      () => undefined,
      (error: NodeJS.ErrnoException) => error.code,
    );
    if (code !== 'EBUSY' || clock.monotonicMs() > untilMs || (await hasGroups(path))) return;
    await clock.sleep(leavePauseMs);
  }
}

const hasGroups = async (path: string) =>
  (await readdir(path, { withFileTypes: true }).catch(() => [])).some((entry) => entry.isDirectory());

/**
 * Puts a process into what was made for a machine alone, above the machine's own groups: whoever reads what that process's group counts reads the machine.
 * A process that is gone, and version 2, which has no processes beside groups, leave all as it is.
 */
export async function countBeside(pid: number, paths: readonly string[]): Promise<void> {
  for (const path of parentsOf(paths)) await writeFile(join(path, 'cgroup.procs'), String(pid)).catch(() => {});
}

/** The groups from the one below `root` down to `path`, which is one of them. Pure. */
export function levelsOf(root: string, path: string): string[] {
  const levels: string[] = [];
  for (let level = path; level.startsWith(`${root}/`); level = dirname(level)) levels.unshift(level);
  return levels;
}

/** Version 2: groups below this one may use those of the controllers that it has. Says which it has. Throws FailedPrecondition. */
export async function delegate(path: string, controllers: readonly string[]): Promise<string[]> {
  const words = async (file: string) => (await readFile(join(path, file), 'utf8')).split(/\s+/);
  const has = await words('cgroup.controllers');
  const given = await words('cgroup.subtree_control');
  const usable = controllers.filter((name) => has.includes(name));
  const lacking = usable.filter((name) => !given.includes(name)).map((name) => `+${name}`);
  if (lacking.length === 0) return usable;
  await writeFile(join(path, 'cgroup.subtree_control'), lacking.join(' ')).catch((error: NodeJS.ErrnoException) => {
    // The "no internal processes" rule.
    const why =
      error.code === 'EBUSY' ? 'processes live in it, so groups beneath it get no controllers' : error.message;
    throw new SampanError('FailedPrecondition', `control group ${path}: ${why}`, {}, { cause: error });
  });
  return usable;
}

/** Version 2: makes the groups from `root` down to `path` where they are missing; each hands the controllers on. */
export async function delegateDown(root: string, path: string, controllers: readonly string[]): Promise<void> {
  for (const level of levelsOf(root, path)) {
    await mkdir(level, { recursive: true });
    await delegate(level, controllers);
  }
}
