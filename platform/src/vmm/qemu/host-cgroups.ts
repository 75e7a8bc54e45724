/**
 * The host's control groups of VMMs: `sampan-<tag>/<name>` in every hierarchy that counts (version 1, hybrid or 2).
 * Owns those directories. Where the host gives none (a container without its own), machines run unlimited and the reason is told.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, realpath, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '@sampan/api/errors.ts';
import type { Clock } from '../../base/clock.ts';

const periodMicros = 100_000;
/** The kernel takes no smaller quota. */
const minQuotaMicros = 1_000;

export class HostCgroups {
  /** Why there are no limits; undefined when there are. */
  unavailable: string | undefined;
  readonly #parents: string[];
  readonly #unified: boolean;

  private constructor(parents: string[], unified: boolean, unavailable?: string) {
    this.#parents = parents;
    this.#unified = unified;
    this.unavailable = unavailable;
  }

  /** Finds the hierarchies below `root` and makes the instance's directory in each. */
  static async open(tag: string, root = '/sys/fs/cgroup'): Promise<HostCgroups> {
    try {
      const unified = existsSync(join(root, 'cgroup.controllers'));
      const hierarchies = unified ? [await enableControllers(root)] : await hierarchiesOfVersion1(root);
      const parents = hierarchies.map((path) => join(path, `sampan-${tag}`));
      for (const parent of parents) {
        await mkdir(parent, { recursive: true });
        if (unified) await enableControllers(parent);
      }
      return new HostCgroups(
        parents,
        unified,
        parents.length === 0 ? `no cpu or memory hierarchy in ${root}` : undefined,
      );
    } catch (error) {
      return new HostCgroups([], false, messageOf(error));
    }
  }

  /** Where a cgroup of this name is, or would be, in each hierarchy. */
  paths(name: string): string[] {
    return this.#parents.map((parent) => join(parent, name));
  }

  /** Idempotent. */
  async create(paths: readonly string[]): Promise<void> {
    for (const path of paths) await mkdir(path, { recursive: true });
  }

  /** Share of the CPU when it is scarce. */
  async setWeight(paths: readonly string[], millicores: number): Promise<void> {
    // 1024 shares, and a weight of 100, are one core's worth (version 1 and 2).
    if (this.#unified) return this.#write(paths, 'cpu.weight', clamp(Math.round(millicores / 10), 1, 10_000));
    await this.#write(paths, 'cpu.shares', clamp(Math.round((millicores * 1024) / 1000), 2, 262_144));
  }

  async setCpuLimit(paths: readonly string[], millicores: number): Promise<void> {
    const quota = Math.max(minQuotaMicros, Math.round((millicores * periodMicros) / 1000));
    if (this.#unified) return this.#write(paths, 'cpu.max', `${quota} ${periodMicros}`);
    await this.#write(paths, 'cpu.cfs_quota_us', quota);
  }

  async setMemoryLimit(paths: readonly string[], bytes: number): Promise<void> {
    await this.#write(paths, this.#unified ? 'memory.max' : 'memory.limit_in_bytes', bytes);
    if (this.#unified) await this.#write(paths, 'memory.swap.max', 0);
  }

  /** Processes and threads together. */
  async setPidsLimit(paths: readonly string[], count: number): Promise<void> {
    await this.#write(paths, 'pids.max', count);
  }

  /** CPU time used, nanoseconds; undefined where the host does not count it. */
  async cpuNanos(paths: readonly string[]): Promise<bigint | undefined> {
    for (const path of paths) {
      const usage = await readFile(join(path, 'cpuacct.usage'), 'utf8').catch(() => undefined);
      if (usage) return BigInt(usage.trim());
      const stat = await readFile(join(path, 'cpu.stat'), 'utf8').catch(() => '');
      const micros = /^usage_usec (\d+)$/m.exec(stat)?.[1];
      if (micros) return BigInt(micros) * 1000n;
    }
    return undefined;
  }

  /** Removes them once their processes are gone. Idempotent. */
  async remove(paths: readonly string[], clock: Clock): Promise<void> {
    for (const path of paths) {
      // The kernel lets go of a dead process's cgroup a little after the process; on a host with much to do, seconds after.
      for (let attempt = 0; attempt < 500; attempt++) {
        const code = await rmdir(path).then(
          () => undefined,
          (error: NodeJS.ErrnoException) => error.code,
        );
        if (code !== 'EBUSY') break;
        await clock.sleep(Math.min(1 + attempt, 20));
      }
    }
  }

  /** Removes the instance's own directories where nothing is in them any more. */
  async removeParents(): Promise<void> {
    for (const parent of this.#parents) await rmdir(parent).catch(() => {});
  }

  /** A file that a hierarchy does not have belongs to another one. */
  async #write(paths: readonly string[], file: string, value: string | number): Promise<void> {
    for (const path of paths) {
      await writeFile(join(path, file), String(value), { flag: 'r+' }).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
      });
    }
  }
}

const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));

/** Version 2: children may use cpu, memory and pids. Fails where processes live in the directory itself (a container's root). */
async function enableControllers(path: string): Promise<string> {
  // A host may do without pids; then the VMM's own limit of threads (RLIMIT_NPROC) is the only one.
  await writeFile(join(path, 'cgroup.subtree_control'), '+pids').catch(() => {});
  await writeFile(join(path, 'cgroup.subtree_control'), '+cpu +memory');
  return path;
}

/** Version 1 and hybrid: the hierarchies of cpu, cpuacct (often the same one), memory and pids. */
async function hierarchiesOfVersion1(root: string): Promise<string[]> {
  const names = await readdir(root).catch((): string[] => []);
  const wanted = ['cpu', 'cpuacct', 'memory', 'pids'].filter((name) => names.includes(name));
  return [...new Set(await Promise.all(wanted.map((name) => realpath(join(root, name)))))];
}
