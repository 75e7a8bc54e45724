/**
 * The host's control groups of VMMs: `sampan-<tag>/<name>` in every hierarchy that counts (version 1, 2, or some controllers in each), or beneath a group that
 * whoever asks for the machine has made for it. Owns those directories. Where the host gives none (a container without its own), machines run unlimited
 * and the reason is told.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, realpath, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { messageOf } from '@sampan/api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { delegate, delegateDown, placesOf } from '../cgroup-places.ts';
import type { CgroupParent } from '../vmm.ts';

const periodMicros = 100_000;
/** The kernel takes no smaller quota. */
const minQuotaMicros = 1_000;

/** cpuacct has no limits: it counts, as cpu does in version 2. */
const wanted = ['cpu', 'cpuacct', 'memory', 'pids'];

/** The kernel lets go of a dead process's group a little after the process; on a host with much to do, seconds after. */
const letGoMs = 10_000;

interface Hierarchies {
  version1: string[];
  /** Version 2, where it has one of the controllers. */
  unified?: string;
  /** Of cpu and memory, what no hierarchy has. */
  missing: string[];
}

export class HostCgroups {
  /** Why there are no limits, or not all; undefined when there are. */
  readonly unavailable: string | undefined;
  readonly #tag: string;
  readonly #roots: string[];
  readonly #unified: string | undefined;

  private constructor(tag: string, { version1, unified }: Hierarchies, unavailable?: string) {
    this.#tag = tag;
    this.#roots = [...version1, ...(unified ? [unified] : [])];
    this.#unified = unified;
    this.unavailable = unavailable;
  }

  /** Finds the hierarchies below `root` and makes the instance's directory in each; takes away what is left there of machines that are gone. */
  static async open(tag: string, root = '/sys/fs/cgroup'): Promise<HostCgroups> {
    const none = { version1: [], missing: wanted };
    try {
      const found = await hierarchiesIn(root);
      if (found.missing.includes('cpu') && found.missing.includes('memory'))
        return new HostCgroups(tag, none, `no cpu or memory hierarchy in ${root}`);
      const lacks = found.missing.length > 0 ? `no hierarchy in ${root} has ${found.missing.join(', ')}` : undefined;
      const cgroups = new HostCgroups(tag, found, lacks);
      if (found.unified) await delegate(found.unified, wanted);
      await cgroups.create(cgroups.#own);
      if (found.unified) await delegate(join(found.unified, `sampan-${tag}`), wanted);
      await cgroups.#sweep();
      return cgroups;
    } catch (error) {
      return new HostCgroups(tag, none, messageOf(error));
    }
  }

  get #own(): string[] {
    return this.#roots.map((root) => join(root, `sampan-${this.#tag}`));
  }

  /** Where a cgroup of this name is, or would be, in each hierarchy; beneath `parent`, or in the instance's own (placesOf). */
  paths(name: string, parent?: CgroupParent): string[] {
    return placesOf({ roots: this.#roots, tag: this.#tag, name, parent });
  }

  /** Idempotent. Throws FailedPrecondition where processes live in what a path is beneath (version 2). */
  async create(paths: readonly string[]): Promise<void> {
    for (const path of paths) {
      const root = this.#unified;
      // The instance's own hands them on already.
      if (root && path.startsWith(`${root}/`) && !this.#own.includes(dirname(path)))
        await delegateDown(root, dirname(path), wanted);
      await mkdir(path, { recursive: true });
    }
  }

  /**
   * A process, with all its threads, into these, and whoever else is in those it leaves: in version 1, KVM's own thread for a machine, which is the
   * kernel's. What memory it has stays charged to where it was, but for version 1, which moves its own pages.
   */
  async move(pid: number, { from, to }: { from: readonly string[]; to: readonly string[] }): Promise<void> {
    await this.#write(to, 'memory.move_charge_at_immigrate', 1).catch(() => {});
    for (const path of to) await writeFile(join(path, 'cgroup.procs'), String(pid));
    for (const left of await processesIn(from))
      for (const path of to) await writeFile(join(path, 'cgroup.procs'), left).catch(() => {});
  }

  /** Share of the CPU when it is scarce. */
  async setWeight(paths: readonly string[], millicores: number): Promise<void> {
    // 1024 shares, and a weight of 100, are one core's worth (version 1 and 2).
    await this.#write(paths, 'cpu.weight', clamp(Math.round(millicores / 10), 1, 10_000));
    await this.#write(paths, 'cpu.shares', clamp(Math.round((millicores * 1024) / 1000), 2, 262_144));
  }

  async setCpuLimit(paths: readonly string[], millicores: number): Promise<void> {
    const quota = Math.max(minQuotaMicros, Math.round((millicores * periodMicros) / 1000));
    await this.#write(paths, 'cpu.max', `${quota} ${periodMicros}`);
    await this.#write(paths, 'cpu.cfs_quota_us', quota);
  }

  async setMemoryLimit(paths: readonly string[], bytes: number): Promise<void> {
    await this.#write(paths, 'memory.limit_in_bytes', bytes);
    await this.#write(paths, 'memory.max', bytes);
    await this.#write(paths, 'memory.swap.max', 0);
  }

  /** What the groups above leave it, bytes; undefined: they bound nothing, or are not there. */
  async memoryAbove(paths: readonly string[]): Promise<number | undefined> {
    const read = (path: string, file: string) => readFile(join(dirname(path), file), 'utf8').catch(() => '');
    const texts = await Promise.all(
      paths.flatMap((path) => [read(path, 'memory.limit_in_bytes'), read(path, 'memory.max')]),
    );
    const limits = texts
      .map((text) => text.trim())
      .filter((text) => /^\d{1,18}$/.test(text))
      .map(Number);
    return limits.length > 0 ? Math.min(...limits) : undefined;
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

  /** Removes them once their processes are gone; one that stays is told of, since nothing of the machine depends on it. Idempotent. */
  async remove(paths: readonly string[], { clock, log }: { clock: Clock; log: Logger }): Promise<void> {
    const untilMs = clock.monotonicMs() + letGoMs;
    for (const path of paths) {
      let code = await removed(path);
      for (let pauseMs = 1; code === 'EBUSY' && clock.monotonicMs() < untilMs; pauseMs = Math.min(pauseMs + 1, 20)) {
        await clock.sleep(pauseMs);
        code = await removed(path);
      }
      if (code)
        log.warn(
          { path, code },
          "a control group stays though its machine is gone; a restart takes those in the instance's own",
        );
    }
  }

  /** What a killed server, or remove(), has left: the kernel keeps every group that has processes, or groups beneath it. */
  async #sweep(): Promise<void> {
    for (const own of this.#own) {
      const entries = await readdir(own, { withFileTypes: true });
      for (const entry of entries) if (entry.isDirectory()) await removed(join(own, entry.name));
    }
  }

  /** Removes the instance's own directories where nothing is in them any more. */
  async removeParents(): Promise<void> {
    for (const parent of this.#own) await rmdir(parent).catch(() => {});
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

/** Their numbers; none of a group that is gone. */
async function processesIn(paths: readonly string[]): Promise<string[]> {
  const texts = await Promise.all(paths.map((path) => readFile(join(path, 'cgroup.procs'), 'utf8').catch(() => '')));
  return [...new Set(texts.flatMap((text) => text.match(/\d+/g) ?? []))];
}

/** Why it is still there; undefined: it is not. */
const removed = (path: string): Promise<string | undefined> =>
  rmdir(path).then(
    () => undefined,
    ({ code, message }: NodeJS.ErrnoException) => (code === 'ENOENT' ? undefined : (code ?? message)),
  );

const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));

/**
 * Version 2 alone is the root itself. Else there are the hierarchies of version 1 (cpu and cpuacct are often the same one), and `unified` beside them,
 * which has the controllers that version 1 was told to leave alone (cgroup_no_v1=).
 */
async function hierarchiesIn(root: string): Promise<Hierarchies> {
  const isUnified = existsSync(join(root, 'cgroup.controllers'));
  const unified = isUnified ? root : join(root, 'unified');
  const has = (await readFile(join(unified, 'cgroup.controllers'), 'utf8').catch(() => '')).split(/\s+/);
  const names = isUnified ? [] : await readdir(root).catch((): string[] => []);
  const old = wanted.filter((name) => names.includes(name));
  return {
    version1: [...new Set(await Promise.all(old.map((name) => realpath(join(root, name)))))],
    ...(wanted.some((name) => has.includes(name)) ? { unified } : {}),
    // Without pids there is still the VMM's own limit of threads (RLIMIT_NPROC).
    missing: ['cpu', 'memory'].filter((name) => !has.includes(name) && !old.includes(name)),
  };
}
