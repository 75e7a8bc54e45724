/**
 * How many clones of a shape are worth keeping parked: as many as the largest crowd of late would have taken, had they been there. Pure.
 *
 * A leaky bucket: every machine that is asked for adds one, and one leaks away in the time that parking another takes, which is only done between
 * machines. What it rises to is how far the asking got ahead of the pool. Asked for one after another at leisure, machines need one clone; fifty at
 * once need fifty.
 */

/** Parking a clone takes about so long, its rehearsal without KVM included. */
const parkMs = 1_500;
/** Machines that follow each other closer than this leave no time for it. */
const closeMs = 500;
/** A crowd is expected again within this time. */
export const recentMs = 10 * 60_000;

export class CloneDemand {
  #backlog = 0;
  #peak = 0;
  #peakAtMs = Number.NEGATIVE_INFINITY;
  #atMs: number;

  constructor(nowMs: number) {
    this.#atMs = nowMs;
  }

  /** When a machine of the shape was last asked for. */
  get atMs(): number {
    return this.#atMs;
  }

  /** A machine of the shape was asked for. */
  note(nowMs: number): void {
    this.#backlog = this.#backlogAt(nowMs) + 1;
    this.#atMs = nowMs;
    if (this.#backlog < this.#peak && nowMs - this.#peakAtMs <= recentMs) return;
    this.#peak = this.#backlog;
    this.#peakAtMs = nowMs;
  }

  /** Clones worth keeping, whatever they cost. */
  wanted(nowMs: number): number {
    return nowMs - this.#peakAtMs <= recentMs ? Math.round(this.#peak) : 0;
  }

  #backlogAt(nowMs: number): number {
    return Math.max(0, this.#backlog - Math.max(0, nowMs - this.#atMs - closeMs) / parkMs);
  }
}

/** What a core clones in some ten seconds of a crowd, without KVM; those ten seconds are what a crowd is spared that finds them parked. */
const reservePerCore = 16;

/** Clones worth keeping for a crowd that nobody expects, of all shapes in use together: no more than the cores would be busy with for a while. */
export const reserveClones = (cores: number): number => cores * reservePerCore;

/** What a parked clone takes at most, MiB: 75 with a rehearsal without KVM, about 20 without one. */
const cloneMib = 80;
/** Of the memory that nobody uses. What the clones have already counts as that: it is given back as soon as others want it. */
const idleShare = 1 / 4;

/** How many clones may be parked in all, with `parked` there and so much memory free beside them. */
export function affordableClones(availableBytes: number, parked: number): number {
  const availableMib = availableBytes / 2 ** 20;
  return Math.floor(((availableMib + parked * cloneMib) * idleShare) / cloneMib);
}
