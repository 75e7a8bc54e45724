/**
 * A level-based work queue, after client-go's workqueue: a key is in it once however often it is added, is never worked on twice at a time,
 * and comes back with back-off when its work fails.
 */
import { messageOf } from '@sampan/api/errors.ts';
import { type Clock, systemClock } from './clock.ts';
import type { Logger } from './log.ts';

export interface WorkQueueOptions {
  work: (key: string) => Promise<void>;
  log: Logger;
  clock?: Clock;
  concurrency?: number;
  baseDelayMs?: number;
  maxDelayMs?: number;
}

export class WorkQueue {
  readonly #options: Required<WorkQueueOptions>;
  readonly #waiting = new Set<string>();
  readonly #working = new Set<string>();
  readonly #again = new Set<string>();
  readonly #failures = new Map<string, number>();
  readonly #stop = new AbortController();
  #idle: (() => void)[] = [];

  constructor(options: WorkQueueOptions) {
    this.#options = { clock: systemClock, concurrency: 64, baseDelayMs: 50, maxDelayMs: 30_000, ...options };
  }

  add(key: string): void {
    if (this.#stop.signal.aborted) return;
    if (this.#working.has(key)) this.#again.add(key);
    else this.#waiting.add(key);
    this.#pump();
  }

  addAfter(key: string, ms: number): void {
    this.#options.clock.sleep(ms, this.#stop.signal).then(
      () => this.add(key),
      () => {},
    );
  }

  /** Takes no more work and resolves when what runs has ended. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#waiting.clear();
    this.#again.clear();
    if (this.#working.size > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #pump(): void {
    for (const key of this.#waiting) {
      if (this.#working.size >= this.#options.concurrency) return;
      this.#waiting.delete(key);
      this.#working.add(key);
      void this.#workOn(key);
    }
  }

  async #workOn(key: string): Promise<void> {
    try {
      await this.#options.work(key);
      this.#failures.delete(key);
    } catch (error) {
      const failures = (this.#failures.get(key) ?? 0) + 1;
      this.#failures.set(key, failures);
      const delayMs = Math.min(this.#options.maxDelayMs, this.#options.baseDelayMs * 2 ** (failures - 1));
      this.#options.log.warn({ key, failures, delayMs, error: messageOf(error) }, 'work failed, will be tried again');
      this.addAfter(key, delayMs);
    }
    this.#working.delete(key);
    if (this.#again.delete(key)) this.#waiting.add(key);
    this.#pump();
    if (this.#working.size === 0) for (const wake of this.#idle.splice(0)) wake();
  }
}
