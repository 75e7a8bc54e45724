/** What the host as a whole uses: the `node` part of stats/summary. Read from /proc; units nanoseconds, nanocores, bytes. */
import { readFile, statfs } from 'node:fs/promises';
import type { Clock } from '../../base/clock.ts';

export interface HostUsage {
  cpuNanos: number;
  /** Since the sample before; absent with the first one. */
  nanoCores?: number;
  memoryBytes: number;
  availableBytes: number;
  disk: { capacityBytes: number; availableBytes: number; usedBytes: number };
}

/** The kernel counts in hundredths of a second for user space (USER_HZ). */
const nanosPerTick = 10_000_000;

export class HostMeter {
  readonly #clock: Clock;
  readonly #home: string;
  #last: { nanos: number; atMs: number } | undefined;

  constructor(options: { clock: Clock; home: string }) {
    this.#clock = options.clock;
    this.#home = options.home;
  }

  async read(): Promise<HostUsage> {
    const [stat, meminfo, disk] = await Promise.all([
      readFile('/proc/stat', 'utf8'),
      readFile('/proc/meminfo', 'utf8'),
      statfs(this.#home),
    ]);
    const cpuNanos = busyTicks(stat) * nanosPerTick;
    const atMs = this.#clock.monotonicMs();
    const since = this.#last;
    this.#last = { nanos: cpuNanos, atMs };
    const elapsedMs = since ? atMs - since.atMs : 0;
    const [total, available] = [kibOf(meminfo, 'MemTotal') * 1024, kibOf(meminfo, 'MemAvailable') * 1024];
    return {
      cpuNanos,
      ...(since && elapsedMs > 0 ? { nanoCores: Math.round(((cpuNanos - since.nanos) / elapsedMs) * 1000) } : {}),
      memoryBytes: total - available,
      availableBytes: available,
      disk: {
        capacityBytes: disk.blocks * disk.bsize,
        availableBytes: disk.bavail * disk.bsize,
        usedBytes: (disk.blocks - disk.bfree) * disk.bsize,
      },
    };
  }
}

/** All CPUs' time but idle and waiting for disks (proc(5): user nice system idle iowait irq softirq steal). */
export function busyTicks(stat: string): number {
  const ticks = (/^cpu +(.*)$/m.exec(stat)?.[1] ?? '').split(' ').map(Number).slice(0, 8);
  return ticks.reduce((sum, value, index) => (index === 3 || index === 4 ? sum : sum + value), 0);
}

function kibOf(meminfo: string, name: string): number {
  return Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(meminfo)?.[1] ?? 0);
}
