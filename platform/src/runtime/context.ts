/**
 * What every call of the runtime works with: the seams below it, the records' places, and the sandboxes and containers it holds.
 * Owns finding them by id and the order of events; not what is done to them (one file a call).
 */
import { availableParallelism } from 'node:os';
import { SampanError } from '@sampan/api/errors.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import { SerialByKey } from '../base/serial.ts';
import type { ImageStore } from '../images/images.ts';
import type { Network } from '../network/network.ts';
import type { Vmm } from '../vmm/vmm.ts';
import type { ConnectAgent } from './agent/agent.ts';
import type { Container } from './containers/container.ts';
import { EventHub } from './event-hub.ts';
import { Paths } from './records/sandbox-record.ts';
import { handlerOf } from './sandbox/handlers.ts';
import type { SizeDefaults } from './sandbox/vm/machine-shape.ts';
import type { Sandbox } from './sandbox/vm/sandbox.ts';
import { ScratchDisks } from './sandbox/vm/scratch-disk.ts';
import { StartGate } from './start-gate.ts';

export interface RuntimeOptions {
  /** By handler. Absent: Pods that ask for it are refused. */
  vmms: { vm: Vmm; namespace?: Vmm };
  images: ImageStore;
  network: Network;
  connectAgent: ConnectAgent;
  /** Volatile state, on tmpfs. */
  run: string;
  /** Durable state: scratch disks. */
  home: string;
  log: Logger;
  clock?: Clock;
  /** Size of a Pod that says nothing. */
  defaults?: SizeDefaults;
  /** For tests: called before each step whose interruption recover() must mend. */
  onStep?: (step: string) => void | Promise<void>;
}

export class Context {
  readonly options: Required<RuntimeOptions>;
  readonly paths: Paths;
  readonly scratch: ScratchDisks;
  readonly sandboxes = new Map<string, Sandbox>();
  readonly containers = new Map<string, Container>();
  readonly locks = new SerialByKey();
  readonly events: EventHub;
  readonly startGate: StartGate;
  /** Aborts when the runtime lets go. */
  readonly closing = new AbortController();
  #lastNanos = 0n;

  constructor(options: Required<RuntimeOptions>) {
    this.options = options;
    this.paths = new Paths(options.run, options.home);
    this.scratch = new ScratchDisks(this.paths.scratches());
    // One more than there are cores: a start also waits, for disks and for its caller.
    this.startGate = new StartGate({ places: availableParallelism() + 1, clock: options.clock });
    this.events = new EventHub(this.closing.signal);
  }

  /** Throws FailedPrecondition where this host does not offer the handler, Unsupported where it is not known at all. */
  vmm(handlerName: string): Vmm {
    const handler = handlerOf(handlerName);
    const vmm = this.options.vmms[handler];
    if (!vmm) throw new SampanError('FailedPrecondition', `runtime handler "${handler}" is not offered on this host`);
    return vmm;
  }

  get log(): Logger {
    return this.options.log;
  }

  /** Nanoseconds since the epoch, each later than the one before: kubelet sorts by them. */
  nowNanos(): bigint {
    const now = BigInt(Math.floor(this.options.clock.now() * 1000)) * 1000n;
    this.#lastNanos = now > this.#lastNanos ? now : this.#lastNanos + 1n;
    return this.#lastNanos;
  }

  async step(name: string): Promise<void> {
    await this.options.onStep(name);
  }

  /** By id or an unambiguous prefix. Throws NotFound. */
  sandbox(id: string | undefined): Sandbox {
    return find(this.sandboxes, id, 'sandbox');
  }

  /** By id or an unambiguous prefix. Throws NotFound. */
  container(id: string | undefined): Container {
    return find(this.containers, id, 'container');
  }

  sandboxOf(container: Container): Sandbox {
    return this.sandbox(container.record.sandboxId);
  }
}

function find<T>(all: Map<string, T>, id: string | undefined, what: string): T {
  const exact = id ? all.get(id) : undefined;
  if (exact) return exact;
  const matches = id ? [...all].filter(([key]) => key.startsWith(id)) : [];
  const only = matches[0];
  if (matches.length === 1 && only) return only[1];
  if (matches.length > 1)
    throw new SampanError('BadRequest', `${what} "${id}" is ambiguous; give more digits of its id`);
  throw new SampanError('NotFound', `${what} "${id ?? ''}" not found`);
}
