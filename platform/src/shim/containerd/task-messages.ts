/** Messages of containerd's shim API (containerd.task.v2 and v3, which differ in nothing served here), its events and what they hold. */
import { boolean, bytes, int64, Message, nested, pairs, repeated, string, uint32 } from '../ttrpc/protobuf.ts';

/** google.protobuf.Timestamp and Any. */
export const timestamp = new Message({ seconds: int64(1), nanos: uint32(2) });
export const any = new Message({ typeUrl: string(1), value: bytes(2) });
export const empty = new Message({});

export const mount = new Message({
  type: string(1),
  source: string(2),
  target: string(3),
  options: repeated(string(4)),
});

export const createRequest = new Message({
  id: string(1),
  bundle: string(2),
  rootfs: repeated(nested(3, mount)),
  terminal: boolean(4),
  stdin: string(5),
  stdout: string(6),
  stderr: string(7),
  checkpoint: string(8),
  parentCheckpoint: string(9),
  options: nested(10, any),
});
/** Of Start and Create: just the pid. */
export const pidResponse = new Message({ pid: uint32(1) });

/** Of State, Start, Delete, Wait, Pids, Pause, Resume, Stats, Connect, Checkpoint, Shutdown: what they name. */
export const processRequest = new Message({ id: string(1), execId: string(2) });
export const execRequest = new Message({
  id: string(1),
  execId: string(2),
  terminal: boolean(3),
  stdin: string(4),
  stdout: string(5),
  stderr: string(6),
  spec: nested(7, any),
});
export const killRequest = new Message({ id: string(1), execId: string(2), signal: uint32(3), all: boolean(4) });
export const resizeRequest = new Message({ id: string(1), execId: string(2), width: uint32(3), height: uint32(4) });
export const closeRequest = new Message({ id: string(1), execId: string(2), stdin: boolean(3) });
export const updateRequest = new Message({ id: string(1), resources: nested(2, any), annotations: pairs(3) });

export const deleteResponse = new Message({ pid: uint32(1), exitStatus: uint32(2), exitedAt: nested(3, timestamp) });
export const waitResponse = new Message({ exitStatus: uint32(1), exitedAt: nested(2, timestamp) });
export const stateResponse = new Message({
  id: string(1),
  bundle: string(2),
  pid: uint32(3),
  status: uint32(4),
  stdin: string(5),
  stdout: string(6),
  stderr: string(7),
  terminal: boolean(8),
  exitStatus: uint32(9),
  exitedAt: nested(10, timestamp),
  execId: string(11),
});
/** containerd.v1.types.Status. */
export const taskStatus = { created: 1, running: 2, stopped: 3, paused: 4 } as const;

const processInfo = new Message({ pid: uint32(1) });
export const pidsResponse = new Message({ processes: repeated(nested(1, processInfo)) });
export const statsResponse = new Message({ stats: nested(1, any) });
export const connectResponse = new Message({ shimPid: uint32(1), taskPid: uint32(2), version: string(3) });

/** io.containerd.cgroups.v2.Metrics: the guest's cgroups are of version 2. */
const pidsStat = new Message({ current: int64(1), limit: int64(2) });
const cpuStat = new Message({ usageUsec: int64(1) });
const memoryStat = new Message({
  anon: int64(1),
  inactiveFile: int64(13),
  pgfault: int64(18),
  pgmajfault: int64(19),
  usage: int64(32),
  usageLimit: int64(33),
});
const ioStat = new Message({});
export const cgroupMetrics = new Message({
  pids: nested(1, pidsStat),
  cpu: nested(2, cpuStat),
  memory: nested(4, memoryStat),
  io: nested(6, ioStat),
});
export const cgroupMetricsType = 'io.containerd.cgroups.v2.Metrics';

/** containerd.events. */
const taskIo = new Message({ stdin: string(1), stdout: string(2), stderr: string(3), terminal: boolean(4) });
export const taskCreate = new Message({
  containerId: string(1),
  bundle: string(2),
  rootfs: repeated(nested(3, mount)),
  io: nested(4, taskIo),
  pid: uint32(6),
});
export const taskStart = new Message({ containerId: string(1), pid: uint32(2) });
export const taskDelete = new Message({
  containerId: string(1),
  pid: uint32(2),
  exitStatus: uint32(3),
  exitedAt: nested(4, timestamp),
  id: string(5),
});
export const taskExit = new Message({
  containerId: string(1),
  id: string(2),
  pid: uint32(3),
  exitStatus: uint32(4),
  exitedAt: nested(5, timestamp),
});
/** TaskOOM, TaskPaused, TaskResumed. */
export const taskNamed = new Message({ containerId: string(1) });
export const taskExecAdded = new Message({ containerId: string(1), execId: string(2) });
export const taskExecStarted = new Message({ containerId: string(1), execId: string(2), pid: uint32(3) });

const envelope = new Message({
  timestamp: nested(1, timestamp),
  namespace: string(2),
  topic: string(3),
  event: nested(4, any),
});
export const forwardRequest = new Message({ envelope: nested(1, envelope) });

export const timestampOf = (nanos: bigint) => ({
  seconds: nanos / 1_000_000_000n,
  nanos: Number(nanos % 1_000_000_000n),
});
