/**
 * The OCI level under CRI: sandboxes without Pods, and in them containers from OCI bundles (a directory with config.json and a root directory
 * on the host). shimv2 and the OCI command line are served by this one object.
 *
 * Owns: the sandboxes it made, their machines, networks and shares; containers and exec processes in them; their stdio; what became of them.
 * Does not own: images, snapshots, the mounts of a root directory (its caller makes it and takes it away), Pods and CRI (create-runtime.ts).
 *
 *   container: creating ──▶ created ──start──▶ running ◀─pause/resume─▶ paused
 *                              │                  └─────────┬──────────────┘
 *                              └──── kill, start fails ─────▼
 *                                                        stopped ──delete──▶ (gone)
 *
 * Everything is kept on disk under <run>/bundles and found again by recover(): containers and exec processes outlive the process. Every call may be repeated. Errors are SampanError: NotFound, AlreadyExists, FailedPrecondition (state), Unsupported
 * (something in config.json that cannot be kept, by name), Invalid.
 */

import type { CgroupParent } from '../../vmm/vmm.ts';
import type { GuestSession } from '../agent/agent.ts';
import type { OciConfig } from './oci-config.ts';

export type SandboxHandler = 'vm' | 'namespace';

/** A namespace of the host's own, which a machine on the host may have in place of a fresh one. */
export type HostNamespace = 'network' | 'pid' | 'ipc';

export interface CreateBundleSandbox {
  /** Unique among sandboxes: 1-200 of [A-Za-z0-9._-]. */
  id: string;
  handler: SandboxHandler;
  hostname: string;
  /** Limits of all containers together; absent: the instance's defaults. */
  resources?: { cpuMillicores?: number; memoryBytes?: number };
  annotations: Record<string, string>;
  /**
   * The control group that its machine is to be beneath. `isUsual`: nobody asked for this one. `isContainers`: it is the group of the container that names it,
   * with that one's limits, and not the machine's (handler 'namespace' alone).
   */
  cgroup?: CgroupParent & { isUsual?: boolean; isContainers?: boolean };
  /** The sandbox's network: 'none', our bridge, what already is in the namespace `netnsPath` (a CNI's); 'host' for handler 'namespace' alone. */
  network: 'none' | 'bridge' | 'netns' | 'host';
  netnsPath?: string;
  /** For handler 'namespace' alone: what its machine shares with the host. */
  hostNamespaces?: HostNamespace[];
  /** Content of /etc/resolv.conf where the bundle mounts none; absent: the network's resolver. */
  resolvConf?: string;
  /** Of the machine: a container's linux.sysctl may only name what is set here. */
  sysctls?: Record<string, string>;
  /** One PID namespace for all containers, but those that ask for one of their own. */
  sharePidNamespace?: boolean;
  /** It is a Pod without a container of its own: containers see its /etc/hosts, hostname, resolv.conf and /dev/shm where their bundles mount none. */
  podFiles?: boolean;
}

/** Why a sandbox is not ready that was to be stopped. */
export const stoppedOnRequest = 'it was stopped';

export interface BundleSandbox {
  id: string;
  handler: SandboxHandler;
  state: 'ready' | 'notready';
  /** Why it is not ready. */
  message: string;
  createdAtUnixNanos: bigint;
  /** Once it is not ready. */
  endedAtUnixNanos?: bigint;
  annotations: Record<string, string>;
  /** Of the sandbox on its network; absent without one. */
  address?: string;
  /** The machine's process on the host; 0 when it is gone. */
  pid: number;
}

/**
 * Paths that are opened before createContainer (or exec) resolves and closed when the stream has ended: FIFOs, terminals, files, or
 * /proc/<pid>/fd/<n> of whoever called. Empty or absent: nothing. With a tty everything comes on stdout.
 */
export interface BundleStdio {
  stdin?: string;
  stdout?: string;
  stderr?: string;
}

export interface CreateBundleContainer {
  /** Unique among containers: 1-200 of [A-Za-z0-9._-]. */
  id: string;
  sandboxId: string;
  /** Directory with config.json (OCI runtime-spec 1.x, at most 4 MiB). */
  bundle: string;
  /** What hooks are told that it is called; absent: its id. */
  name?: string;
  /** Its config.json, by a caller who has read it already. */
  config?: OciConfig;
  /** The container's root: a directory on the host that stays there until delete. */
  rootfs: string;
  stdio: BundleStdio;
  tty: boolean;
  /** The container of this sandbox whose PID namespace this one joins, where config.json names a PID namespace by path. */
  pidNamespaceOf?: string;
}

/** A container that is to be created next, as far as hooks go. */
export interface HookedBundle {
  containerId: string;
  /** What hooks are told that it is called. */
  name: string;
  bundle: string;
  config: OciConfig;
}

export interface StartBundleExec {
  containerId: string;
  execId: string;
  /** OCI `process`. */
  process: OciProcess;
  stdio: BundleStdio;
  tty: boolean;
}

/** runtime-spec config.md, "process", as far as an exec may say it. */
export interface OciProcess {
  args: string[];
  env?: string[];
  cwd?: string;
  terminal?: boolean;
  consoleSize?: { width: number; height: number };
  user?: { uid: number; gid: number; umask?: number; additionalGids?: number[]; username?: string };
  capabilities?: Record<string, string[]>;
  noNewPrivileges?: boolean;
  rlimits?: { type: string; soft: number; hard: number }[];
}

export type BundleState = 'created' | 'running' | 'paused' | 'stopped';

export interface BundleExit {
  /** 0-255; 128+N for signal N. */
  exitCode: number;
  oomKilled: boolean;
  finishedAtUnixNanos: bigint;
  /** Why, when it was no exit of its own (its machine died, crun refused it). */
  message: string;
}

export interface BundleContainer {
  id: string;
  sandboxId: string;
  bundle: string;
  rootfs: string;
  state: BundleState;
  /** A process on the host that lives as long as the sandbox (its machine): what clients want a pid for. 0 once stopped. */
  pid: number;
  /** Of its first process inside the guest. */
  guestPid: number;
  annotations: Record<string, string>;
  stdio: BundleStdio;
  tty: boolean;
  createdAtUnixNanos: bigint;
  startedAtUnixNanos: bigint;
  exit?: BundleExit;
}

export interface BundleExec {
  containerId: string;
  execId: string;
  state: 'created' | 'running' | 'stopped';
  guestPid: number;
  stdio: BundleStdio;
  tty: boolean;
  exit?: BundleExit;
}

export interface BundleUsage {
  cpuNanos: bigint;
  memoryUsageBytes: number;
  memoryWorkingSetBytes: number;
  memoryRssBytes: number;
  /** 0: none. */
  memoryLimitBytes: number;
  pageFaults: number;
  majorPageFaults: number;
  pids: number;
}

export type BundleEvent =
  | { type: 'created' | 'started' | 'paused' | 'resumed' | 'oom'; containerId: string }
  | { type: 'exited' | 'deleted'; containerId: string; exit: BundleExit }
  | { type: 'exec-added' | 'exec-started'; containerId: string; execId: string; guestPid: number }
  | { type: 'exec-exited'; containerId: string; execId: string; guestPid: number; exit: BundleExit }
  | { type: 'sandbox-ended'; sandboxId: string; message: string };

/** Names a container, or with `execId` an exec process in it. */
export interface ProcessRef {
  containerId: string;
  execId?: string;
}

export interface DeleteBundleContainer {
  force?: boolean;
  /**
   * The container is the last in its sandbox, which goes too. Answered when no process of the container is left; the rest is cleared away
   * afterwards, by recover() if need be. A new sandbox of the name waits for that.
   */
  withSandbox?: boolean;
}

export interface BundleRuntime {
  /** Adopts what runs, finishes what was half done, removes what nobody owns. Once, before anything else. */
  recover(): Promise<void>;
  /**
   * Resolves when the machine runs; its guest may still boot. `hooked` is the container that it is made for: hooks that make its network run before there is a
   * machine to join it. On error nothing is left. Throws AlreadyExists.
   */
  createSandbox(request: CreateBundleSandbox, hooked?: HookedBundle): Promise<BundleSandbox>;
  sandbox(id: string): BundleSandbox;
  listSandboxes(): BundleSandbox[];
  /** Resolves when it is no longer ready, for whatever reason. */
  waitSandbox(id: string): Promise<BundleSandbox>;
  /** Ends the machine and every container in it (their state becomes stopped, 137), then lets go of the network. Idempotent. */
  stopSandbox(id: string): Promise<void>;
  /** Stops it and forgets it with its containers. Idempotent. */
  deleteSandbox(id: string): Promise<void>;
  /** Has a process of the host's counted with the sandbox's machine, where the host can do that (Machine.countBeside). Best effort; never throws. */
  countBeside(sandboxId: string, pid: number): Promise<void>;
  /** Connects to a port of the guest's loopback. Throws FailedPrecondition when the sandbox is not ready, ServiceUnavailable when nobody listens. */
  dial(sandboxId: string, port: number): Promise<GuestSession>;

  /** Reads and translates config.json and opens the stdio. Nothing runs yet. Throws AlreadyExists. */
  createContainer(request: CreateBundleContainer): Promise<BundleContainer>;
  /** Idempotent while it runs. Throws InternalError with crun's words; the container is stopped (128) then. */
  start(containerId: string): Promise<BundleContainer>;
  container(id: string): BundleContainer;
  list(): BundleContainer[];
  /**
   * Its first process as the host numbers it, which only handler 'namespace' has; waits for one that is on its way to a container that is created. Undefined: there is
   * none. Throws NotFound.
   */
  processOnHost(containerId: string): Promise<number | undefined>;
  /** To the first process, or to `all`. A container that was only created is stopped by SIGKILL and SIGTERM. Throws NotFound once stopped ("process already finished"). */
  kill(process: ProcessRef, signal: number, all?: boolean): Promise<void>;
  pause(containerId: string): Promise<void>;
  resume(containerId: string): Promise<void>;
  /** OCI `linux.resources`. */
  update(containerId: string, resources: object): Promise<void>;
  /** Ids of processes, as the guest counts them. */
  pids(containerId: string): Promise<number[]>;
  stats(containerId: string): Promise<BundleUsage>;
  resize(process: ProcessRef, columns: number, rows: number): Promise<void>;
  /** No more stdin: the process reads its end. Idempotent. */
  closeStdin(process: ProcessRef): Promise<void>;
  /** Resolves when the process ended. Its output may still be on its way to a slow reader; delete waits for that. */
  wait(process: ProcessRef): Promise<BundleExit>;
  /** Resolves when all that the process wrote before it ended was taken by its readers, or never will be. */
  delivered(process: ProcessRef): Promise<void>;
  /** Throws FailedPrecondition while it runs or is paused, unless `force`. Its sandbox stays. Idempotent only through NotFound. */
  delete(containerId: string, options?: DeleteBundleContainer): Promise<BundleExit>;

  /** Opens the stdio of an exec and keeps it: nothing runs yet. Throws AlreadyExists. */
  addExec(request: StartBundleExec): Promise<BundleExec>;
  startExec(containerId: string, execId: string): Promise<BundleExec>;
  exec(containerId: string, execId: string): BundleExec;
  listExecs(): BundleExec[];
  deleteExec(containerId: string, execId: string): Promise<BundleExit>;

  /** Everything that happens from now on, in order. A reader that is 4096 events behind is ended with an error. */
  events(signal: AbortSignal): AsyncIterable<BundleEvent>;
  /** Lets go of everything; sandboxes go on. */
  close(): Promise<void>;
}
