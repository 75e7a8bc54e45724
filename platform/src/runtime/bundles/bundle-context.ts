/** What the calls of the bundle runtime work with: the seams below, records' places, what it holds, the order of events. */
import { availableParallelism } from 'node:os';
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { SerialByKey } from '../../base/serial.ts';
import type { Attachment, Network } from '../../network/network.ts';
import type { Machine, Vmm } from '../../vmm/vmm.ts';
import type { ConnectAgent } from '../agent/agent.ts';
import type { Deferred } from '../deferred.ts';
import type { AgentLink } from '../sandbox/vm/agent-link.ts';
import type { SizeDefaults } from '../sandbox/vm/machine-shape.ts';
import { StartGate } from '../start-gate.ts';
import type { BundleContainerRecord, BundleSandboxRecord } from './bundle-records.ts';
import { BundlePaths } from './bundle-records.ts';
import type { BundleExit, CreateBundleSandbox, SandboxHandler } from './bundle-runtime.ts';
import { EventFeed } from './event-feed.ts';
import type { BundleExecRecord } from './exec-records.ts';
import type { HeldStdio, StdioKeeper } from './held-stdio.ts';
import type { HookNamespaces } from './hook-namespaces.ts';
import { HostHooks } from './host-hooks.ts';
import type { OutputPump } from './output-pump.ts';
import { SeccompFilters } from './seccomp-filters.ts';
import type { ShareMounts } from './share-mounts.ts';
import type { InputEnd } from './stdio-ends.ts';

export interface BundleRuntimeOptions {
  /** 'vm' always; other handlers where there is a driver. */
  vmms: { vm: Vmm } & Partial<Record<SandboxHandler, Vmm>>;
  network: Network;
  /** Joins a machine to what already is in a network namespace. Absent: network 'netns' is refused. */
  joinNetns?: NetnsJoiner;
  connectAgent: ConnectAgent;
  /** Volatile state, on tmpfs. */
  run: string;
  log: Logger;
  clock?: Clock;
  mounts: ShareMounts;
  /** Keeps clients' FIFOs open over our death. Absent: they end with us. */
  keeper?: StdioKeeper;
  defaults?: SizeDefaults;
  /** Where hooks of virtual machines work; by default the host's own. */
  hookNamespaces?: HookNamespaces;
  /** For tests: called before each step whose interruption recover() must mend. */
  onStep?: (step: string) => void | Promise<void>;
}

/** A tap in a namespace that a CNI has filled, with the addresses that were there; nothing for a machine on the host, which enters the namespace itself. */
export interface NetnsJoiner {
  attach(request: CreateBundleSandbox): Promise<Attachment | undefined>;
  /** The sandbox was found again: what the process before this one did for it is done anew. */
  adopt(request: CreateBundleSandbox): Promise<void>;
  /** Idempotent; the namespace may be gone. */
  detach(sandboxId: string): Promise<void>;
}

export interface LiveSandbox {
  record: BundleSandboxRecord;
  machine?: Machine;
  link?: AgentLink;
  /** Stop was asked for: the machine's end is no news. */
  stopping: boolean;
  /** No program of anybody's has run in it yet. */
  isFresh?: boolean;
  ended: Deferred<void>;
}

export interface LiveContainer {
  record: BundleContainerRecord;
  exited: Deferred<BundleExit>;
  /** Resolved once the agent has it: before, there is no output to read. */
  made: Deferred<void>;
  /** Its start waits for it. */
  learning?: Promise<void>;
  held: HeldStdio;
  input?: InputEnd | undefined;
  pump?: OutputPump | undefined;
  execs: Map<string, LiveExec>;
  oomKilled: boolean;
}

export interface LiveExec {
  record: BundleExecRecord;
  exited: Deferred<BundleExit>;
  /** Resolved once the agent has it: before, there is no output to read. */
  made: Deferred<void>;
  starting?: Promise<void>;
  /** Of its terminal, told before it was started. */
  size?: { columns: number; rows: number };
  held: HeldStdio;
  input?: InputEnd | undefined;
  /** Its input is being carried. */
  isFed?: boolean;
  pump?: OutputPump;
}

export class BundleContext {
  readonly options: Required<Omit<BundleRuntimeOptions, 'joinNetns'>> & Pick<BundleRuntimeOptions, 'joinNetns'>;
  readonly paths: BundlePaths;
  readonly sandboxes = new Map<string, LiveSandbox>();
  readonly containers = new Map<string, LiveContainer>();
  readonly locks = new SerialByKey();
  readonly events = new EventFeed();
  readonly hooks: HostHooks;
  readonly startGate: StartGate;
  readonly filters = new SeccompFilters();
  readonly closing = new AbortController();
  /** Sandboxes that are being cleared away behind an answer, by id. */
  readonly leaving = new Map<string, Promise<void>>();

  constructor(options: BundleContext['options']) {
    this.options = options;
    this.paths = new BundlePaths(options.run);
    this.hooks = new HostHooks({
      directory: this.paths.hooks(),
      log: options.log,
      onStep: (name) => this.step(name),
    });
    this.startGate = new StartGate({ places: availableParallelism() + 1, clock: options.clock });
  }

  async step(name: string): Promise<void> {
    await this.options.onStep(name);
  }

  /**
   * Keeps what would be found out again after a crash: where there is no room for it, that is no reason to say that it has not happened. False when it is not
   * kept.
   */
  async note(id: string, save: () => Promise<void>): Promise<boolean> {
    try {
      await save();
      return true;
    } catch (error) {
      this.options.log.error({ id, error: messageOf(error) }, 'a record is not kept');
      return false;
    }
  }

  nowNanos(): bigint {
    return BigInt(Math.floor(this.options.clock.now() * 1000)) * 1000n;
  }

  /** Throws NotFound. */
  sandbox(id: string): LiveSandbox {
    const found = this.sandboxes.get(id);
    if (!found) throw new SampanError('NotFound', `sandbox ${id} not found`);
    return found;
  }

  /** Throws NotFound. */
  container(id: string): LiveContainer {
    const found = this.containers.get(id);
    if (!found) throw new SampanError('NotFound', `container ${id} not found`);
    return found;
  }

  /** Throws NotFound. */
  exec(containerId: string, execId: string): LiveExec {
    const found = this.container(containerId).execs.get(execId);
    if (!found) throw new SampanError('NotFound', `container ${containerId} has no process ${execId}`);
    return found;
  }

  /** The driver of a handler. Throws Unsupported naming it. */
  vmm(handler: SandboxHandler): Vmm {
    const vmm = this.options.vmms[handler];
    if (!vmm) throw new SampanError('Unsupported', `runtime handler "${handler}" is not served here`);
    return vmm;
  }

  containersOf(sandboxId: string): LiveContainer[] {
    return [...this.containers.values()].filter(({ record }) => record.sandboxId === sandboxId);
  }
}
