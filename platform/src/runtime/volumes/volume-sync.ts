/**
 * Watches a file volume on the host for a new version: kubelet's AtomicWriter swaps the link `..data`, and the guest follows.
 * Owns the watcher; what to do with a change is the caller's. Level-based: the link's target is compared, not the event.
 */
import { type FSWatcher, watch } from 'node:fs';
import { readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '@sampan/api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';

const debounceMs = 100;
/** Where watching is not possible (no inotify watches left) and after a failure. */
const pollMs = 10_000;

export interface VolumeSyncOptions {
  root: string;
  /** The version that the guest has. */
  dataTarget: string | undefined;
  /** Brings the guest the new version and says which it was. */
  onChange: () => Promise<string | undefined>;
  clock: Clock;
  log: Logger;
}

export class VolumeSync implements Disposable {
  readonly #options: VolumeSyncOptions;
  readonly #stop = new AbortController();
  #watcher: FSWatcher | undefined;
  #current: string | undefined;
  #scheduled = false;

  constructor(options: VolumeSyncOptions) {
    this.#options = options;
    this.#current = options.dataTarget;
    try {
      this.#watcher = watch(options.root, { persistent: false }, () => this.#schedule(debounceMs));
      this.#watcher.on('error', () => this.#schedule(pollMs));
    } catch (error) {
      options.log.debug({ root: options.root, error: messageOf(error) }, 'cannot watch a volume, looking now and then');
      this.#schedule(pollMs);
    }
    // What changed before the watch was there.
    this.#schedule(debounceMs);
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
    this.#watcher?.close();
  }

  #schedule(ms: number): void {
    if (this.#scheduled || this.#stop.signal.aborted) return;
    this.#scheduled = true;
    this.#options.clock.sleep(ms, this.#stop.signal).then(
      async () => {
        this.#scheduled = false;
        const again = await this.#compare();
        if (again) this.#schedule(pollMs);
      },
      () => {},
    );
  }

  /** True when it must be looked at again without an event. */
  async #compare(): Promise<boolean> {
    const { root, onChange, log } = this.#options;
    try {
      const target = await readlink(join(root, '..data')).catch(() => undefined);
      if (target !== undefined && target !== this.#current) this.#current = await onChange();
      return this.#watcher === undefined;
    } catch (error) {
      log.warn({ root, error: messageOf(error) }, 'cannot bring a volume up to date, will be tried again');
      return true;
    }
  }
}
