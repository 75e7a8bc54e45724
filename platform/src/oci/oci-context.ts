/** What every call of the OCI command line works with. */
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { SerialByKey } from '../base/serial.ts';
import type { BundleRuntime, ProcessRef } from '../runtime/bundles/bundle-runtime.ts';
import type { ContainerRecords } from './container-records.ts';
import type { LineConnection } from './line-connection.ts';

export interface OciContext {
  bundles: BundleRuntime;
  records: ContainerRecords;
  /** One change at a time a container, by its key; one at a time a sandbox, by its id. */
  serial: SerialByKey;
  clock: Clock;
  log: Logger;
  onStep: (step: string) => void | Promise<void>;
  /** Exec processes by the pid of their holder. */
  execs: Map<number, Required<ProcessRef>>;
  /** Aborted when the service stops. */
  closing: AbortController;
}

/** A plain call: its result goes to the command, which prints `print` where there is one. */
export type Call = (context: OciContext, params: unknown) => Promise<{ print?: string }>;

/** A call that goes on speaking over its connection. */
export type Conversation = (context: OciContext, connection: LineConnection, params: unknown) => Promise<void>;
