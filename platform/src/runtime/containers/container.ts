/** A container as the runtime holds it: its record, its output, and the moment it ends. */
import { Deferred } from '../deferred.ts';
import type { LogPump } from '../logs/log-pump.ts';
import type { ContainerRecord } from '../records/container-record.ts';

export class Container {
  record: ContainerRecord;
  /** From createContainer (or adoption) until the output ended. */
  pump: LogPump | undefined;
  /** Set while (and after) the exit is being dealt with: an exit may be told twice. */
  finishing: Promise<void> | undefined;
  /** Stop was asked for: who waits on it may send the last signal sooner. */
  readonly exited = new Deferred<void>();

  constructor(record: ContainerRecord) {
    this.record = record;
    if (record.state === 'exited') this.exited.resolve();
  }

  get id(): string {
    return this.record.id;
  }

  get name(): string {
    return this.record.config.metadata?.name ?? '';
  }
}
