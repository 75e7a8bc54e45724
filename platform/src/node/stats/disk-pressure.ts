/**
 * Whether the node is short of disk: kubelet's condition DiskPressure, as its eviction manager keeps it. Measured anew with each `look`; the
 * condition stays for a while after the last time that a disk was short, so that it does not come and go.
 */
import { statfs } from 'node:fs/promises';
import type { Clock } from '../../base/clock.ts';
import { type DiskRoom, type EvictionThreshold, readThresholds, shortageOfDisk } from './eviction-hard.ts';

/** What the disk that holds `path` has. */
export type MeasureDisk = (path: string) => Promise<DiskRoom>;

export interface DiskPressureOptions {
  home: string;
  /** Where images lie; asked until it answers. Absent: on the disk of `home`. */
  imagePath?: (() => Promise<string | undefined>) | undefined;
  clock: Clock;
  /** Default: readThresholds(). */
  thresholds?: EvictionThreshold[] | undefined;
  /** Default: what the file system says. */
  measure?: MeasureDisk | undefined;
}

/** kubelet's --eviction-pressure-transition-period. */
const transitionMs = 5 * 60_000;

export class DiskPressure {
  readonly #options: DiskPressureOptions;
  readonly #thresholds: EvictionThreshold[];
  #imagePath: string | undefined;
  #shortAtMs: number | undefined;
  #message = '';

  constructor(options: DiskPressureOptions) {
    this.#options = options;
    this.#thresholds = options.thresholds ?? readThresholds();
  }

  /** As of the last look. */
  get isHigh(): boolean {
    return this.#shortAtMs !== undefined;
  }

  get message(): string {
    return this.#message;
  }

  /** A disk that cannot be measured changes nothing. */
  async look(): Promise<void> {
    const { home, clock, imagePath, measure = roomOf } = this.#options;
    if (this.#thresholds.length === 0) return;
    this.#imagePath ??= await imagePath?.().catch(() => undefined);
    const images = this.#imagePath ?? home;
    const rooms = await Promise.all([measure(home), measure(images)]).catch(() => undefined);
    if (!rooms) return;
    const [nodefs, imagefs] = rooms;
    const shortage = shortageOfDisk(this.#thresholds, { nodefs, imagefs });
    const nowMs = clock.now();
    if (shortage !== undefined) {
      this.#shortAtMs = nowMs;
      this.#message = shortage;
    } else if (this.#shortAtMs !== undefined && nowMs - this.#shortAtMs >= transitionMs) this.#shortAtMs = undefined;
  }
}

async function roomOf(path: string): Promise<DiskRoom> {
  const { blocks, bavail, bsize, files, ffree } = await statfs(path);
  return {
    path,
    capacityBytes: blocks * bsize,
    availableBytes: bavail * bsize,
    inodes: files,
    inodesFree: ffree,
  };
}
