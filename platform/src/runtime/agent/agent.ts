/**
 * The guest agent as the runtime sees it. agent-client.ts speaks guest/PROTOCOL.md over a machine's channel;
 * fake-agent.ts runs in process for tests of the runtime.
 *
 * The host trusts nothing of the guest: every message is bounded and parsed; an agent that breaks the protocol gets its
 * connection closed and every pending call rejected with InternalError "agent of sandbox X broke the protocol: ...".
 * All calls are idempotent by the id they carry, so that a server that was killed may simply ask again.
 *
 * Calls may be pipelined: the guest carries out setup, bindDisk, createVolume, putFiles, createContainer and startContainer in the order
 * in which they were made, so a caller need not await one before it makes the next. Each call tells its own outcome.
 */

/** Places of the guest that a container's spec may bind: written by setup, there before any container. */
export const guestPaths = {
  hosts: '/run/sampan/etc/hosts',
  hostname: '/run/sampan/etc/hostname',
  resolvConf: '/run/sampan/etc/resolv.conf',
  /** tmpfs of 64 MiB that the Pod's containers share as /dev/shm. */
  shm: '/run/sampan/shm',
  /** cgroup (v2) under which the containers' own lie: linux.cgroupsPath is `/pod/<container id>`. */
  cgroup: '/pod',
} as const;

/** The guest's interface. Nothing but this is ever on it: the guest makes up no address of its own and heeds no router's advice. */
export interface GuestNetwork {
  mac: string;
  mtu: number;
  /** IPv4. */
  address: string;
  prefixLength: number;
  /** Of the default route; absent: there is none. */
  gateway?: string;
  ipv6?: { address: string; prefixLength: number; gateway?: string };
  /** Further addresses, of both families. */
  moreAddresses?: { address: string; prefixLength: number }[];
  /** `destination` is address/length; without a gateway it is on the link. */
  routes?: { destination: string; gateway?: string }[];
}

/** What a guest must be told after it was cloned (or booted): makes two Pods of one template differ. */
export interface SandboxSetup {
  hostname: string;
  domainname?: string;
  /** 32 hex digits. */
  machineId: string;
  /** 64 fresh random bytes, base64: re-seeds the guest's entropy pool before anything else reads from it. */
  entropy: string;
  /** Wall clock, nanoseconds since the epoch, decimal. */
  timeUnixNanos: string;
  network?: GuestNetwork;
  /** Content of /etc/resolv.conf. */
  resolvConf: string;
  sysctls: Record<string, string>;
  /** shareProcessNamespace: one PID namespace for the Pod, held by a pause process. */
  sharePidNamespace: boolean;
  /** Disk slots to bring up now; 'scratch' is mounted as the Pod's writable space. */
  disks: string[];
  /** cgroup limits of all containers together; bytes. */
  memoryLimitBytes?: number;
}

/** One file, directory or link of a volume that the host fills (configMap, secret, projected, downwardAPI, /etc/hosts...). */
export interface VolumeFile {
  /** Relative, no '..', at most 4096 bytes. */
  path: string;
  type: 'file' | 'dir' | 'symlink';
  mode: number;
  uid: number;
  gid: number;
  /** base64, for a file. */
  content?: string;
  /** for a symlink */
  target?: string;
}

export interface GuestVolume {
  id: string;
  /**
   * 'files': filled by putFiles, on tmpfs; 'tmpfs': memory, sizeBytes; 'disk': a directory on the scratch disk, sizeBytes enforced by the host through stats;
   * 'file': one file, filled by putFiles with path ''; 'share': a directory or file of the host, from the machine's share `tag` (MachineSpec.shares).
   */
  kind: 'files' | 'file' | 'tmpfs' | 'disk' | 'share';
  /** 'share' only. */
  tag?: string;
  /** 'share' only: what of the share this volume is; resolved inside it (openat2 RESOLVE_IN_ROOT), must exist; absent: all of it. */
  subPath?: string;
  sizeBytes?: number;
  mode?: number;
  uid?: number;
  gid?: number;
}

/** A mount of a volume (or a part of it) into a container. */
export interface GuestMount {
  volumeId: string;
  /** Below the volume's root; resolved inside it (openat2 RESOLVE_IN_ROOT), created as a directory when missing. */
  subPath?: string;
  containerPath: string;
  readOnly: boolean;
  /** With readOnly: what is mounted below is read-only too. */
  recursive?: boolean;
  /** What the container mounts there appears where the volume comes from. Only of a share that was handed over as 'shared' (ShareMount). */
  bidirectional?: boolean;
}

/** A directory that is a container's root as it is, with no layer over it: what the container writes stands in the directory. */
export interface GuestRootfs {
  volumeId: string;
  /** As in a GuestMount, but it must exist. */
  subPath?: string;
  readOnly: boolean;
}

export interface CreateContainer {
  id: string;
  /** Disk slot with the image. Either this or `rootfs`. */
  imageSlot?: string;
  /** In place of imageSlot. */
  rootfs?: GuestRootfs;
  /** The OCI runtime-spec config (v1.0.2) less root and volume mounts, which the agent adds. */
  spec: object;
  mounts: GuestMount[];
  readOnlyRootfs: boolean;
  tty: boolean;
  /** Keep stdin open for attach. */
  stdin: boolean;
  stdinOnce: boolean;
  /**
   * crun makes the container's process at once, behind the caller's back: startContainer then only lets it go. What crun complains of is the start's failure
   * all the same, but for a program that is found and cannot be executed: that is an exit code then.
   */
  ready?: boolean;
  /** What readFilter() gave for a container with the same `linux.seccomp`, in base64: crun need not compile it again, which takes it as long as all else. */
  filter?: string;
  /**
   * Resolve this user ("name", "uid", "name:group", "uid:gid") in the image's /etc/passwd and /etc/group; and put its HOME in env. Groups that the image
   * says the user is in are added to the supplemental ones, unless `strictGroups`.
   */
  user?: { name: string; supplementalGroups: number[]; strictGroups?: boolean };
  /** What hooks in its spec are told that it is called, where no other container of the machine is called so; else its id. */
  name?: string;
  /** The container's control group, as a path in the host's hierarchies, for a machine that sees these (MachineSpec.containerCgroup); others: Unsupported. */
  cgroup?: string;
  /** Process that this container shares the PID namespace with: the id of another container (ephemeral debug, targetContainerName). */
  pidNamespaceOf?: string;
  /** A PID namespace of its own, whatever the Pod's other containers share. */
  ownPidNamespace?: boolean;
}

/** Whom the image's names came to. */
export interface GuestUser {
  uid: number;
  gid: number;
  /** Sorted; with the primary one. */
  groups: number[];
}

export type ExitReason = 'Completed' | 'Error' | 'OOMKilled' | 'StartError';

export interface ExitInfo {
  /** 0-255; 128+N for signal N. */
  exitCode: number;
  signal: number;
  reason: ExitReason;
  /** Nanoseconds since the epoch by the guest's clock. */
  startedAtUnixNanos: bigint;
  finishedAtUnixNanos: bigint;
  message: string;
}

export interface GuestContainerStatus {
  id: string;
  state: 'created' | 'running' | 'exited';
  pid: number;
  startedAtUnixNanos: bigint;
  exit?: ExitInfo;
}

/** A piece of a container's output. `offset` counts the stream's bytes from the container's start. */
export interface OutputChunk {
  stream: 'stdout' | 'stderr';
  offset: bigint;
  /** When the agent read it, nanoseconds since the epoch. */
  timeUnixNanos: bigint;
  data: Uint8Array;
}

export interface ContainerUsage {
  id: string;
  cpuNanos: bigint;
  /** memory.current less inactive_file. */
  memoryWorkingSetBytes: number;
  memoryUsageBytes: number;
  memoryRssBytes: number;
  pageFaults: number;
  majorPageFaults: number;
  pids: number;
  /** Bytes in the container's writable layer. */
  rootfsUsedBytes: number;
  rootfsInodes: number;
}

export interface GuestStats {
  containers: ContainerUsage[];
  memoryTotalBytes: number;
  memoryAvailableBytes: number;
  cpuNanos: bigint;
  scratch: { totalBytes: number; usedBytes: number; inodesUsed: number };
  volumes: { id: string; usedBytes: number; inodes: number }[];
  network: { rxBytes: bigint; txBytes: bigint; rxErrors: bigint; txErrors: bigint };
}

/** A process started in a container beside its own, or a TCP connection from inside the guest. Flow-controlled both ways. */
export interface GuestSession extends AsyncDisposable {
  /** Of the process, as the guest counts; absent for a connection. */
  readonly pid?: number;
  readonly stdin: WritableStream<Uint8Array>;
  readonly stdout: ReadableStream<Uint8Array>;
  readonly stderr: ReadableStream<Uint8Array>;
  resize(columns: number, rows: number): Promise<void>;
  /** Resolves when the process has ended and its output was delivered. For a dialled connection: exitCode 0. */
  readonly exited: Promise<{ exitCode: number; signal: number }>;
  /** To the process itself; ok when it has ended. */
  signal(signal: number): Promise<void>;
  /** Kills the process (SIGKILL to its group) or closes the connection. Idempotent. */
  kill(): void;
}

export interface ExecRequest {
  containerId: string;
  args: string[];
  env?: string[];
  cwd?: string;
  /** The whole OCI `process` in place of the container's own with the above changed. */
  process?: object;
  tty: boolean;
  stdin: boolean;
  /** Initial terminal size. */
  columns?: number;
  rows?: number;
}

/** An exec that the guest keeps as it keeps a container, over any number of connections: see createExec. */
export interface CreateExec extends ExecRequest {
  /** Unique among containers, of which it is one to every other call. */
  id: string;
}

export type AgentEvent =
  | { type: 'exited'; containerId: string; exit: ExitInfo }
  | { type: 'oom'; containerId: string }
  /** The channel is gone: the machine died, or the agent broke the protocol. The last event there is. */
  | { type: 'closed'; error: Error };

export interface Agent {
  /** Idempotent: a sandbox that is set up stays as it is. */
  setup(setup: SandboxSetup): Promise<void>;
  /** Ends a rehearsal: the machine loses identity, disks and network, as if setup had never been. Refused while there are containers or volumes. */
  forget?(): Promise<void>;
  /** Binds drivers to a disk slot that was attached after setup. */
  bindDisk(slot: string): Promise<void>;
  createVolume(volume: GuestVolume): Promise<void>;
  /** Replaces the content of a 'files' volume atomically as kubelet's AtomicWriter does (or writes a 'file' volume in place). At most 8 MiB together. */
  putFiles(volumeId: string, files: VolumeFile[]): Promise<void>;
  /** A 'file' volume's content, at most `limitBytes` from its end. */
  readFile(volumeId: string, limitBytes: number): Promise<Uint8Array>;
  /** Tells the user that the first process will have, where one was to be resolved. Another call with the same id tells nothing. */
  createContainer(request: CreateContainer): Promise<{ user?: GuestUser }>;
  /** Of a container that was created with `ready`: resolves once its process is there and waits for its start. Throws InternalError with crun's words. */
  awaitReady(id: string): Promise<{ pid: number }>;
  /**
   * Of such a container while it waits for its start: the system call filter that crun compiled for it, at most 32 KiB; empty where it has none. Throws
   * FailedPrecondition at any other time.
   */
  readFilter(id: string): Promise<Uint8Array>;
  /** Runs crun. Throws InternalError with crun's words when the process cannot be started (exit code 128, StartError). */
  startContainer(id: string): Promise<{ startedAtUnixNanos: bigint; pid?: number }>;
  /** Sends a signal to the container's first process, or to all. Ok when it has already exited. */
  signal(id: string, signal: number, all?: boolean): Promise<void>;
  /** Kills what is left, unmounts, forgets. Idempotent. */
  removeContainer(id: string): Promise<void>;
  updateResources(id: string, resources: object): Promise<void>;
  /** Holds all processes of a running container still, or lets them go on. Idempotent. */
  freeze(id: string, frozen: boolean): Promise<void>;
  /** Ids of a container's processes, as the guest counts them. */
  processes(id: string): Promise<number[]>;
  /** Everything the guest knows of: how a restarted server finds its containers. */
  listContainers(): Promise<GuestContainerStatus[]>;
  stats(): Promise<GuestStats>;
  /**
   * The container's output from `from` (offsets the log already holds). The agent keeps what was not acknowledged (512 KiB a stream, then the
   * container blocks, as on a full pipe): the reader acknowledges by acknowledge(). Ends after both streams ended. One reader at a time. A chunk's bytes
   * are the reader's until it acknowledges them; their memory is then used again.
   */
  output(id: string, from: { stdout: bigint; stderr: bigint }): AsyncIterable<OutputChunk>;
  acknowledge(id: string, upTo: { stdout: bigint; stderr: bigint }): void;
  /** Writes to a container's stdin (attach). */
  writeStdin(id: string, data: Uint8Array): Promise<void>;
  closeStdin(id: string): Promise<void>;
  /** Whoever was at its terminal has gone: its processes are told as by one that is closed (SIGHUP, the end of input). What it said last is lost. */
  hangUp(id: string): Promise<void>;
  resizeTty(id: string, columns: number, rows: number): Promise<void>;
  exec(request: ExecRequest): Promise<GuestSession>;
  /**
   * A process in a running container that outlives connections. From here on it is a container by its own id: startContainer runs it, and signal, output, stdin,
   * resizeTty, listContainers, removeContainer and the event 'exited' are the same. It goes with the container it is in.
   */
  createExec(request: CreateExec): Promise<void>;
  /** Connects to localhost:port inside the guest (port-forward), over IPv4 or, where that is refused, IPv6. Throws ServiceUnavailable when refused. */
  dial(port: number): Promise<GuestSession>;
  /** Events since the connection was made; every container's exit is told (again) to each new connection through listContainers. */
  events(signal: AbortSignal): AsyncIterable<AgentEvent>;
  close(): Promise<void>;
}

/** Connects to a machine's channel; retries until the guest answers or `timeoutMs` passed (Timeout). */
export type ConnectAgent = (options: {
  channelPath: string;
  sandboxId: string;
  timeoutMs: number;
  /** True when a server before us may have spoken on this channel: frames may be torn. */
  adopted: boolean;
  /** Gives up at once: the machine is gone. Rejects with the signal's reason. */
  signal?: AbortSignal;
}) => Promise<Agent>;
