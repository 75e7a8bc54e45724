/**
 * How much a guest may send on one part of a session (guest/PROTOCOL.md, 4). It begins small, and grows for a reader who takes everything at once:
 * under load a round trip takes long, and a window is all that is sent meanwhile. A reader who does not read never has more than the small
 * window waiting for him; what all windows have grown together is bounded.
 */
import { ProtocolViolation } from './frames.ts';

export const firstWindowBytes = 65_536;
const largestWindowBytes = 1024 * 1024;
const largestGrowthBytes = 64 * 1024 * 1024;

/** What windows may grow by, all of a process together. */
export class GrowthBudget {
  #left: number;

  constructor(bytes: number = largestGrowthBytes) {
    this.#left = bytes;
  }

  take(bytes: number): boolean {
    if (bytes > this.#left) return false;
    this.#left -= bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#left += bytes;
  }
}

const sharedGrowth: GrowthBudget = new GrowthBudget();

export class ReceiveWindow {
  readonly #budget: GrowthBudget;
  #largest: number;
  #size = firstWindowBytes;
  /** Bytes that the guest may still send. */
  #open = firstWindowBytes;
  /** Bytes taken by the reader for which no credit was given yet. */
  #owed = 0;
  #takenSinceGrowth = 0;

  /** `largest`: what the guest allows. */
  constructor(largest: number, budget: GrowthBudget = sharedGrowth) {
    this.#largest = Math.min(largest, largestWindowBytes);
    this.#budget = budget;
  }

  received(bytes: number): void {
    this.#open -= bytes;
    if (this.#open < 0) throw new ProtocolViolation('more data than it had credit for');
  }

  /** The reader has taken so much. Gives the credit to be sent now, 0 for none. */
  taken(bytes: number): number {
    this.#owed += bytes;
    this.#takenSinceGrowth += bytes;
    if (this.#takenSinceGrowth >= this.#size) this.#grow();
    // A guest that has three quarters of a window left need not be woken.
    if (this.#owed * 4 < this.#size) return 0;
    const credit = this.#owed;
    this.#owed = 0;
    this.#open += credit;
    return credit;
  }

  /** It grows no more; what it grew by is for others. Idempotent. */
  release(): void {
    this.#budget.giveBack(this.#size - firstWindowBytes);
    this.#size = firstWindowBytes;
    this.#largest = firstWindowBytes;
  }

  #grow(): void {
    if (this.#size * 2 > this.#largest || !this.#budget.take(this.#size)) return;
    this.#owed += this.#size;
    this.#size *= 2;
    this.#takenSinceGrowth = 0;
  }
}
