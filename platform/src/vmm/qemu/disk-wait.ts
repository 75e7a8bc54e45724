/**
 * A machine whose disk found no room on the host: QEMU lets it stand still rather than lose a write (werror=enospc, its default). It is let go on
 * every so often; while there is still no room it stands again at once, and no write is lost.
 */
import { messageOf } from '@sampan/api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { QmpEvent } from './qmp.ts';

const everyMs = 2000;

export interface DiskWaitOptions {
  machine: string;
  /** Lets the machine go on (QMP's `cont`). */
  goOn: () => Promise<unknown>;
  clock: Clock;
  log: Logger;
  /** Aborts when the machine is gone, or let go of. */
  over: AbortSignal;
}

export class DiskWait {
  readonly #options: DiskWaitOptions;
  #stands = false;
  #waiting = false;

  constructor(options: DiskWaitOptions) {
    this.#options = options;
  }

  /** From the first time it stood still until it has gone on for a while. */
  get isWaiting(): boolean {
    return this.#waiting;
  }

  /** Every event of the machine is shown to this. */
  see({ event, data }: QmpEvent): void {
    if (event === 'BLOCK_IO_ERROR' && data.action === 'stop') this.stands();
  }

  /** It stands still for want of room, as its status says after a restart of the server too. */
  stands(): void {
    this.#stands = true;
    if (!this.#waiting) void this.#wait();
  }

  async #wait(): Promise<void> {
    const { machine, clock, log, over } = this.#options;
    this.#waiting = true;
    log.warn({ machine }, 'a machine stands still: its disk on this host has no room; it goes on when there is');
    try {
      while (this.#stands) {
        await clock.sleep(everyMs, over);
        this.#stands = false;
        if (!(await this.#letGoOn())) this.#stands = true;
        // It would stand again at once.
        await clock.sleep(everyMs, over);
      }
      log.info({ machine }, 'the machine goes on');
    } catch {
      // It is over: nothing else ends a sleep.
    } finally {
      this.#waiting = false;
    }
  }

  async #letGoOn(): Promise<boolean> {
    const { machine, goOn, log, over } = this.#options;
    try {
      await goOn();
      return true;
    } catch (error) {
      // A host with much to do may not answer in time; it is asked again.
      if (!over.aborted)
        log.warn({ machine, error: messageOf(error) }, 'a machine that stands still was not let go on');
      return false;
    }
  }
}
