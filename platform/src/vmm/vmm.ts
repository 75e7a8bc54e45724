/**
 * The VMM seam: one small virtual machine per Pod sandbox.
 *
 * Owns: VMM processes, templates, the files in a machine's directory, the machine's channel socket and disks' backends.
 * Does not own: what runs inside (runtime/agent), addresses (network), images.
 *
 *   create ──▶ running ──pause──▶ paused ──resume──▶ running
 *                 └──── guest halts, panics, VMM dies, destroy ────▶ gone
 *
 * A machine is its directory: whoever holds the directory finds the machine again after any crash. Every driver
 * passes vmm/vmm-suite.ts. Drivers: qemu, namespace, fake (later: firecracker, cloud-hypervisor).
 */

/** What must be equal for two machines to come from one template. */
export interface MachineShape {
  vcpus: number;
  memoryMib: number;
}

/** A guest's disk slot. Slots are fixed in a template: the guest knows them by name before it knows what is in them. */
export interface DiskAttachment {
  /** 'scratch' (writable, ext4) or 'image0'..'image7' (read-only EROFS). */
  slot: string;
  /** A file on the host (raw). */
  path: string;
  readOnly: boolean;
}

/** The guest sets the MAC itself (SandboxSetup.network): a clone wakes up with its template's. */
export interface NicAttachment {
  /** Name of a tap device that exists; the VMM is handed its open descriptor. */
  tapName: string;
  /** Path of the network namespace the tap is in; absent: the host's (the server's). */
  netnsPath?: string;
  mac: string;
}

/**
 * A directory of the host that the guest mounts by its tag (virtiofs): one tree for both, owners and modes as they are on the host. What is
 * mounted below the directory later appears in the guest when the directory is a mount point with shared propagation (mount_namespaces(7)).
 * Shares are fixed at create; a machine with more than one boots cold. When what serves a share ends, the machine is 'killed' with words that say so.
 */
export interface Share {
  /** 1 to 32 of a-z, 0-9 and '-'; unique in the machine. */
  tag: string;
  /** Absolute; without comma, tab or newline (it travels in option strings). It exists. */
  directory: string;
  /** The guest cannot change anything in it, whatever its kernel does. */
  readOnly: boolean;
}

/** A directory or file of the host that appears in a share of a running machine, at the share's root. */
export interface ShareMount {
  /** The share's. */
  tag: string;
  /** 1 to 64 of a-z, 0-9 and '-'; unique in the share. */
  name: string;
  /** Absolute; links are followed, as any process of the host would. A directory or a regular file. */
  hostPath: string;
  /** Holds for this mount, not for what the host has mounted below it. */
  readOnly: boolean;
  /** With readOnly: holds also for what the host has mounted below it. */
  recursive?: boolean;
  /**
   * 'private': what the host mounts or unmounts below later is not seen; 'slave': it is, where the host's own mount has shared propagation; 'shared':
   * and what the machine mounts there the host sees too. Only a driver whose machines run on the host's kernel has 'shared'; others: Unsupported.
   */
  propagation: 'private' | 'slave' | 'shared';
}

/** A machine has at most so many. */
export const maxShares = 4;

/** Which of the host's own namespaces a machine on the host has in place of fresh ones. */
export interface MachineNamespaces {
  /** 'own': fresh; 'host'; or the path of one. Default own. */
  network?: 'own' | 'host' | `/${string}`;
  pid?: 'own' | 'host';
  ipc?: 'own' | 'host';
}

/** A control group of somebody's, made where it is nowhere. */
export interface CgroupParent {
  /** In the host's hierarchies. */
  path: string;
  /** It is one machine's alone, and goes with it where nothing else is in it; otherwise it is left. */
  isOwn: boolean;
}

export interface MachineSpec {
  /** Unique; a DNS label. */
  id: string;
  /** Where everything of this machine lives, on tmpfs; made by create, removed by destroy. */
  directory: string;
  shape: MachineShape;
  disks: DiskAttachment[];
  nic?: NicAttachment;
  /** At most maxShares. A driver without `shares` among its capabilities refuses them: Unsupported. */
  shares?: Share[];
  /** Only for drivers whose machines run on the host's kernel (namespace); others refuse it: Unsupported. */
  namespaces?: MachineNamespaces;
  /**
   * The control group beneath which all processes of the machine are counted and bounded; absent: the instance's own. A driver whose machines are no processes
   * of the host (fake) has no use for it.
   */
  cgroupParent?: CgroupParent;
  /**
   * A control group that is one container's own, as a path in the host's hierarchies: what is in the machine can make it and reach it. Goes with the machine, with
   * whoever is in it; refused while processes of others are: FailedPrecondition. Only for drivers whose machines run on the host's kernel: others have no use for it.
   */
  containerCgroup?: string;
  /** Host CPU ceiling of the whole VMM in millicores; absent: shape.vcpus * 1000. Starting needs more than running, so it comes after a grace. */
  cpuLimitMillicores?: number;
}

export type Acceleration = 'kvm' | 'tcg' | 'none';

export interface VmmCapabilities {
  driver: string;
  /** 'none' for a driver that runs no guest code (fake). */
  acceleration: Acceleration;
  /** Why that acceleration, for doctor, the log and the Node object. */
  accelerationReason: string;
  pause: boolean;
  /** Disks can be put into a slot of a running machine. */
  attachDisk: boolean;
  /** MachineSpec.shares is served; absent: no. */
  shares?: boolean;
}

export interface MachineExit {
  /** 'halted': the guest powered off or reset; 'panicked': the guest kernel panicked; 'killed': the VMM process ended otherwise. */
  kind: 'halted' | 'panicked' | 'killed';
  /** Human-readable; at most 1 KiB; from the VMM's events, its stderr or the guest console's tail. */
  message: string;
}

export interface MachineStats {
  /** CPU time of the VMM process so far. */
  cpuNanos: bigint;
  /** Proportional set size of the VMM process, bytes. */
  pssBytes: number;
}

export interface Machine {
  readonly id: string;
  readonly directory: string;
  readonly shape: MachineShape;
  /** 'template' or 'cold': how it was started. */
  readonly origin: 'template' | 'cold';
  /** The machine's process on the host, for whoever must name one; absent where there is none (fake). */
  readonly pid?: number;
  /** Unix socket that carries the agent channel (guest/PROTOCOL.md); one connection at a time, the newest wins. */
  readonly channelPath: string;
  /** The machine's network namespace, where the host can reach it (namespace driver). */
  readonly netnsPath?: string;
  /**
   * It stands still since a disk of its finds no room in the host's file system, and goes on by itself once there is some; undefined: it does not. Absent
   * in drivers whose guests are told of a full disk like any process of the host.
   */
  readonly waitsFor?: 'room' | undefined;
  /** Resolves once when the machine is gone, however it went. Never rejects. */
  readonly exited: Promise<MachineExit>;
  /** Puts a disk into an empty slot of the running machine. Throws FailedPrecondition when the slot is taken. */
  attachDisk(disk: DiskAttachment): Promise<void>;
  /**
   * Puts a part of the host's tree into a share; it goes with the machine. Idempotent by tag and name. There in drivers that have shares. Throws
   * NotFound (no such share, nothing at hostPath), Unsupported (neither directory nor file).
   */
  mountInShare?(mount: ShareMount): Promise<void>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  stats(): Promise<MachineStats>;
  /** The Pod has started: the CPU ceiling comes into force now instead of after the driver's grace. Idempotent; absent: no grace. */
  settle?(): Promise<void>;
  /**
   * Has a process of the host's counted with the machine, in what is the machine's alone (CgroupParent.isOwn) but not under its limits, so that whoever
   * reads what the process's control group counts reads the machine. Best effort: where there is no such group it stays where it is. Absent: nothing is counted.
   */
  countBeside?(pid: number): Promise<void>;
  /** The guest console's last bytes (bounded, hostile text). */
  consoleTail(): Promise<string>;
}

/**
 * A whole start, gone through in a machine that nobody has asked for yet, and undone: under emulation, code that ran once runs several times
 * faster. What a driver does with it is its own matter; afterwards the guest must have neither identity nor disks nor network.
 */
export interface Rehearsal {
  /** Disks for a machine of this name to rehearse with; they are taken out again before anybody gets the machine. */
  disks(name: string): Promise<DiskAttachment[]>;
  /** Speaks to the guest over its channel. Throws when the machine is not as it was before: it is thrown away then. Aborted, it need not connect any more. */
  run(channelPath: string, signal?: AbortSignal): Promise<void>;
  /** The machine has rehearsed or is gone: removes what disks() made. Idempotent. */
  release(name: string): Promise<void>;
}

export interface Vmm {
  capabilities(): Promise<VmmCapabilities>;
  /**
   * Starts a machine: cloned from the shape's template where there is one, else booted cold (and the template is
   * made ready in the background for the next). Resolves when the VMM runs and the channel socket can be connected to; the guest may still be booting.
   * Idempotent by directory: a machine that already runs there is returned. On error nothing is left behind.
   * Throws Invalid or Unsupported (spec), FailedPrecondition (no such disk file or tap), ResourceExhausted (no memory, disk full),
   * InternalError (VMM refused; the message has its words).
   */
  create(spec: MachineSpec): Promise<Machine>;
  /** Finds the machine of a directory again; undefined when there is none or its VMM is dead (then call destroy). */
  find(directory: string): Promise<Machine | undefined>;
  /** Kills the VMM and removes the directory. Idempotent; resolves when nothing is left. */
  destroy(directory: string): Promise<void>;
  /** Makes everything ready that makes the next machine of this shape start fast. Idempotent; concurrent calls share one boot. */
  prepareTemplate(shape: MachineShape): Promise<void>;
  /** Stops background work of this object. Machines and templates stay for the next. */
  close(): Promise<void>;
  /** Closes and removes what is not a machine's: templates, parked clones, shared directories. Only legal with no machine left. */
  teardown(): Promise<void>;
}
