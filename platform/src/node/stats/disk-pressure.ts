/**
 * Whether the node is short of disk: kubelet's condition DiskPressure, as its eviction manager keeps it. Measured anew with each `look`; the
 * condition stays for a while after the last time that the disk was short, so that it does not come and go.
 */
import { statfs } from 'node:fs/promises';
import type { Clock } from '../../base/clock.ts';

/** Which share of the disk that holds `path` is free: 0 to 1. */
export type FreeShare = (path: string) => Promise<number>;

/** kubelet's hard threshold for nodefs.available is a tenth; a machine's images are counted here too, so half of that. */
const leastFreeShare = 0.05;
/** kubelet's --eviction-pressure-transition-period. */
const transitionMs = 5 * 60_000;

export class DiskPressure {
  readonly #options: { home: string; clock: Clock; freeShare: FreeShare };
  #shortAtMs: number | undefined;
  #message = '';

  constructor(options: { home: string; clock: Clock; freeShare?: FreeShare | undefined }) {
    this.#options = { ...options, freeShare: options.freeShare ?? freeShareOf };
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
    const { home, clock, freeShare } = this.#options;
    const free = await freeShare(home).catch(() => undefined);
    if (free === undefined) return;
    const nowMs = clock.now();
    if (free < leastFreeShare) {
      this.#shortAtMs = nowMs;
      this.#message = `${(free * 100).toFixed(1)}% of the disk that holds ${home} is free; at least ${leastFreeShare * 100}% is wanted`;
    } else if (this.#shortAtMs !== undefined && nowMs - this.#shortAtMs >= transitionMs) this.#shortAtMs = undefined;
  }
}

async function freeShareOf(path: string): Promise<number> {
  const { blocks, bavail } = await statfs(path);
  return blocks > 0 ? bavail / blocks : 1;
}
