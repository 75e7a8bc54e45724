/** Wakes the reader of a growing log: when the log's directory changes, and now and then whatever the file system says. */
import { type FSWatcher, watch } from 'node:fs';
import { dirname } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import type { LogFollow } from './read-log.ts';

export interface FollowerOptions {
  path: string;
  clock: Clock;
  signal: AbortSignal;
  /** Whether nothing more will be written. */
  isEnded: () => Promise<boolean>;
}

const pollMs = 1000;

export class Follower implements LogFollow {
  readonly signal: AbortSignal;
  readonly #options: FollowerOptions;
  readonly #watcher: FSWatcher | undefined;
  #ended = false;
  #dirty = false;
  #wake: (() => void) | undefined;

  constructor(options: FollowerOptions) {
    this.signal = options.signal;
    this.#options = options;
    try {
      this.#watcher = watch(dirname(options.path), { persistent: false }, () => this.#notify());
      this.#watcher.on('error', () => {});
    } catch {
      // No more watches to be had: the poll does it alone.
      this.#watcher = undefined;
    }
    options.signal.addEventListener('abort', this.#notify);
  }

  ended(): boolean {
    return this.#ended;
  }

  /** The container may have ended: asks whether it has. */
  readonly look = (): void => {
    this.#options.isEnded().then(
      (ended) => {
        this.#ended = ended;
        if (ended) this.#notify();
      },
      () => {},
    );
  };

  async changed(): Promise<void> {
    if (!this.#dirty && !this.signal.aborted) await this.#wait();
    this.#dirty = false;
  }

  readonly #notify = (): void => {
    this.#dirty = true;
    this.#wake?.();
  };

  close(): void {
    this.#watcher?.close();
    this.signal.removeEventListener('abort', this.#notify);
  }

  async #wait(): Promise<void> {
    const { clock, isEnded } = this.#options;
    const notified = new Promise<'notified'>((resolve) => {
      this.#wake = () => resolve('notified');
    });
    const quiet = new AbortController();
    const polled = clock.sleep(pollMs, quiet.signal).then(
      () => 'polled' as const,
      () => 'polled' as const,
    );
    const cause = await Promise.race([notified, polled]);
    quiet.abort();
    this.#wake = undefined;
    if (cause === 'polled') this.#ended = await isEnded();
  }
}
