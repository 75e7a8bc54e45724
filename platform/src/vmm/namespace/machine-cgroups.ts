/**
 * The control groups of machines on the host: `sampan-<tag>/<name>` in every hierarchy (version 1, hybrid or 2), or beneath a group that whoever asks for
 * the machine has made for it, handed to the machine as its root.
 * Every hierarchy, because containers' groups are made in all that a machine sees: one that it had not joined would be the host's.
 * Owns those directories and what is below them.
 */
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import { delegate, delegateDown, levelsOf, placesOf } from '../cgroup-places.ts';
import type { CgroupParent } from '../vmm.ts';

const periodMicros = 100_000;
/** The kernel takes no smaller quota. */
const minQuotaMicros = 1_000;
/** How long a process that ends with a container may take to leave what only counts it. */
const leaveMs = 5_000;
const leavePauseMs = 5;
const delegated = ['cpu', 'memory', 'pids', 'io', 'cpuset'];

/** Where the hierarchies are mounted. Pure; `mounts` is proc(5) /proc/self/mounts. */
export function hierarchiesOf(mounts: string): { version: 1 | 2; roots: string[]; unified?: string } {
  const lines = mounts.split('\n').map((line) => line.split(' '));
  const byControllers = new Map<string, string>();
  let unified: string | undefined;
  for (const [, place = '', kind, options = ''] of lines) {
    if (kind === 'cgroup2') unified ??= place;
    if (kind !== 'cgroup') continue;
    const flags = new Set(['rw', 'ro', 'nosuid', 'nodev', 'noexec', 'relatime', 'noatime', 'xattr', 'clone_children']);
    const controllers = options
      .split(',')
      .filter((option) => !flags.has(option) && !option.startsWith('release_agent='));
    const key = controllers.join(',');
    if (!byControllers.has(key)) byControllers.set(key, place);
  }
  if (byControllers.size > 0)
    return { version: 1, roots: [...byControllers.values()], ...(unified ? { unified } : {}) };
  return { version: 2, roots: unified ? [unified] : [] };
}

/** The containers' groups are made by crun, which uses version 2 alone or version 1 alone. */
function split(unified: string): string {
  const controllers = existsSync(join(unified, 'cgroup.controllers'))
    ? readFileSync(join(unified, 'cgroup.controllers'), 'utf8').trim()
    : '';
  return controllers
    ? `: this host has its controllers split between version 1 and version 2 (${unified} has ${controllers}); boot without cgroup_no_v1=, or with systemd.unified_cgroup_hierarchy=1`
    : '';
}

export class MachineCgroups {
  readonly #tag: string;
  readonly #roots: string[];
  readonly #version: 1 | 2;
  readonly #files = new Map<string, boolean>();

  private constructor(tag: string, roots: string[], version: 1 | 2) {
    this.#tag = tag;
    this.#roots = roots;
    this.#version = version;
  }

  get #parents(): string[] {
    return this.#roots.map((root) => join(root, `sampan-${this.#tag}`));
  }

  /** Makes the instance's directory in each hierarchy. Throws FailedPrecondition where the host lets us make none. */
  static async open(tag: string, mounts?: string): Promise<MachineCgroups> {
    const { version, roots, unified } = hierarchiesOf(mounts ?? (await readFile('/proc/self/mounts', 'utf8')));
    const groups = new MachineCgroups(tag, roots, version);
    try {
      if (!roots.some((root) => existsSync(join(root, version === 2 ? 'cgroup.controllers' : 'memory.limit_in_bytes'))))
        throw new Error(`no cgroup hierarchy with a memory controller is mounted${unified ? split(unified) : ''}`);
      if (version === 2) for (const root of roots) await delegate(root, delegated);
      await groups.create(groups.#parents);
      if (version === 2) for (const parent of groups.#parents) await delegate(parent, delegated);
    } catch (error) {
      throw new SampanError(
        'FailedPrecondition',
        `containers on the host need control groups of their own: ${messageOf(error)}`,
      );
    }
    return groups;
  }

  /** One in each hierarchy: beneath `parent`, or in the instance's own (placesOf). */
  paths(name: string, parent?: CgroupParent): string[] {
    return placesOf({ roots: this.#roots, tag: this.#tag, name, parent });
  }

  /** What paths() are called in the hierarchies, for a machine of no parent. */
  nameOf = (name: string): string => `/sampan-${this.#tag}/${name}`;

  /** A group of one container's in each hierarchy. */
  placesAt = (path: string): string[] => this.#roots.map((root) => join(root, path));

  /** Of these, the one that counts and bounds nothing: there what stands for a container may be beside it (version 1). */
  #counter(paths: readonly string[]): string | undefined {
    const root = this.#version === 1 && this.#roots.find((one) => existsSync(join(one, 'cpuacct.usage')));
    return root ? paths.find((path) => path.startsWith(`${root}/`)) : undefined;
  }

  /** All else of it is crun's to make. Idempotent. */
  async makeCounter(paths: readonly string[]): Promise<void> {
    const counter = this.#counter(paths);
    if (counter) await mkdir(counter, { recursive: true });
  }

  /** Best effort. */
  async countBeside(pid: number, paths: readonly string[]): Promise<void> {
    const counter = this.#counter(paths);
    if (counter) await writeFile(join(counter, 'cgroup.procs'), String(pid), { flag: 'r+' }).catch(() => {});
  }

  /** A container's groups, with whoever is in them; who was only counted beside it goes by itself, or is killed after a while. Idempotent. */
  async removeOfContainer(paths: readonly string[], clock: Clock): Promise<void> {
    const counter = this.#counter(paths);
    const others = paths.filter((path) => path !== counter);
    await this.remove(others, clock);
    if (!counter) return;
    for (const untilMs = clock.monotonicMs() + leaveMs; clock.monotonicMs() < untilMs; await clock.sleep(leavePauseMs))
      if (
        await removeTree(counter).then(
          () => true,
          () => false,
        )
      )
        return;
    await removeGroup(counter, clock);
  }

  /** Idempotent. Throws FailedPrecondition where processes live in what a path is beneath (version 2). */
  async create(paths: readonly string[]): Promise<void> {
    await Promise.all(paths.map((path) => this.#make(path)));
  }

  async #make(path: string): Promise<void> {
    const root = this.#roots.find((one) => path.startsWith(`${one}/`));
    const isOwn = this.#parents.some((parent) => path === parent || path.startsWith(`${parent}/`));
    if (this.#version === 2 && root && !isOwn) await delegateDown(root, dirname(path), delegated);
    const levels = root && !isOwn ? levelsOf(root, path) : [path];
    for (const level of levels) {
      await mkdir(level, { recursive: true });
      // Born without CPUs in version 1, and nobody may join it then.
      if (this.#version === 1) for (const file of ['cpuset.cpus', 'cpuset.mems']) await inherit(level, file);
    }
  }

  async limit(paths: readonly string[], limits: { memoryBytes: number; millicores: number }): Promise<void> {
    const { memoryBytes, millicores } = limits;
    const quota = Math.max(minQuotaMicros, Math.round((millicores * periodMicros) / 1000));
    const weight = Math.min(10_000, Math.max(1, Math.round(millicores / 10)));
    const shares = Math.min(262_144, Math.max(2, Math.round((millicores * 1024) / 1000)));
    const values: [file: string, value: string | number][] =
      this.#version === 2
        ? [['memory.max', memoryBytes], ['cpu.max', `${quota} ${periodMicros}`], ['cpu.weight', weight]] // biome-ignore format: a table
        : [['memory.limit_in_bytes', memoryBytes], ['cpu.cfs_quota_us', quota], ['cpu.shares', shares]]; // biome-ignore format: a table
    await Promise.all(values.map(([file, value]) => this.#write(paths, file, value)));
  }

  async freeze(paths: readonly string[], frozen: boolean): Promise<void> {
    if (this.#version === 2) return this.#write(paths, 'cgroup.freeze', frozen ? 1 : 0);
    await this.#write(paths, 'freezer.state', frozen ? 'FROZEN' : 'THAWED');
  }

  async cpuNanos(paths: readonly string[]): Promise<bigint> {
    for (const path of paths) {
      const usage = await readFile(join(path, 'cpuacct.usage'), 'utf8').catch(() => undefined);
      if (usage) return BigInt(usage.trim());
      const stat = this.#version === 2 ? await readFile(join(path, 'cpu.stat'), 'utf8').catch(() => '') : '';
      const micros = /^usage_usec (\d+)$/m.exec(stat)?.[1];
      if (micros) return BigInt(micros) * 1000n;
    }
    return 0n;
  }

  /** Bytes of memory of all its processes and files, in use now. */
  async memoryBytes(paths: readonly string[]): Promise<number> {
    const file = this.#version === 2 ? 'memory.current' : 'memory.usage_in_bytes';
    for (const path of paths) {
      const usage = await readFile(join(path, file), 'utf8').catch(() => undefined);
      if (usage) return Number(usage);
    }
    return 0;
  }

  /** Kills whoever is left in them and removes them with all below. Idempotent. Throws InternalError when one stays. */
  async remove(paths: readonly string[], clock: Clock): Promise<void> {
    await this.freeze(paths, false);
    await Promise.all(paths.map((path) => removeGroup(path, clock)));
  }

  /** Removes the instance's own directories where nothing is in them any more. */
  async removeParents(): Promise<void> {
    for (const parent of this.#parents) await rmdir(parent).catch(() => {});
  }

  /** A file that a hierarchy does not have belongs to another one. */
  async #write(paths: readonly string[], file: string, value: string | number): Promise<void> {
    const write = (path: string) =>
      writeFile(join(path, file), String(value), { flag: 'r+' }).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
      });
    await Promise.all(paths.filter((path) => this.#has(path, file)).map(write));
  }

  /** Each of version 1's hierarchies has files of its own controllers only; that does not change. */
  #has(path: string, file: string): boolean {
    const name = join(dirname(path), file);
    const known = this.#files.get(name) ?? existsSync(join(path, file));
    // What is gone has no files, and says nothing about the others.
    if (known || existsSync(path)) this.#files.set(name, known);
    return known;
  }
}

async function removeGroup(path: string, clock: Clock): Promise<void> {
  let left: unknown;
  for (let attempt = 0; attempt < 200; attempt++) {
    left = await removeTree(path).then(
      () => undefined,
      (error) => error,
    );
    if (left === undefined) return;
    await killAll(path);
    await clock.sleep(Math.min(1 + attempt, 25));
  }
  throw new SampanError('InternalError', `cgroup ${path} stays: ${messageOf(left)}`);
}

async function inherit(path: string, file: string): Promise<void> {
  const own = await readFile(join(path, file), 'utf8').catch(() => undefined);
  if (own === undefined || own.trim() !== '') return;
  await writeFile(join(path, file), (await readFile(join(path, '..', file), 'utf8')).trim());
}

const isGone = (error: unknown) => ['ENOENT', 'ENODEV'].includes((error as NodeJS.ErrnoException).code ?? '');

async function children(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch((error) => {
    if (isGone(error)) return [];
    throw error;
  });
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(path, entry.name));
}

async function removeTree(path: string): Promise<void> {
  for (const child of await children(path)) await removeTree(child);
  await rmdir(path).catch((error) => {
    if (!isGone(error)) throw error;
  });
}

/** Processes live in a group or below it. One that is not there has none. */
export async function isInhabited(path: string): Promise<boolean> {
  if ((await readFile(join(path, 'cgroup.procs'), 'utf8').catch(() => '')).trim()) return true;
  for (const child of await children(path)) if (await isInhabited(child)) return true;
  return false;
}

/** A machine with the host's PID namespace leaves processes that did not die with their PID 1. */
async function killAll(path: string): Promise<void> {
  for (const child of await children(path)) await killAll(child);
  const pids = await readFile(join(path, 'cgroup.procs'), 'utf8').catch(() => '');
  for (const pid of pids.split('\n').filter(Boolean))
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It has just gone.
    }
}
