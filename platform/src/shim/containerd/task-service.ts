/**
 * containerd's Task API v2 and v3 over the bundle runtime: one namespace of one containerd, any number of tasks. Each method may be called again:
 * a containerd that was restarted, or one whose call was cut off, asks anew.
 */
import { SampanError } from '@sampan/api/errors.ts';
import type {
  BundleExec,
  BundleExit,
  BundleRuntime,
  OciProcess,
  ProcessRef,
  SandboxHandler,
} from '../../runtime/bundles/bundle-runtime.ts';
import { readOciConfig } from '../../runtime/bundles/oci-config.ts';
import type { Decoded } from '../ttrpc/protobuf.ts';
import type { TtrpcCall, TtrpcMethods } from '../ttrpc/ttrpc-server.ts';
import { type LogTarget, openStdio, stdioOf } from './log-uri.ts';
import type { RootfsMounts } from './rootfs-mounts.ts';
import { bundleId } from './task-ids.ts';
import * as messages from './task-messages.ts';
import { taskPlan } from './task-plan.ts';
import { usageAny } from './task-usage.ts';

export interface TaskServiceOptions {
  bundles: BundleRuntime;
  mounts: RootfsMounts;
  /** Which containerd asks, for which of its namespaces. */
  door: string;
  namespace: string;
  /** Of the runtime that it was told to use. */
  handler: SandboxHandler;
  canJoinNetns: boolean;
  version: string;
  onStep: (step: string) => void | Promise<void>;
}

type Named = { id: string; execId: string };
const done = Buffer.alloc(0);
const services = ['containerd.task.v2.Task', 'containerd.task.v3.Task'];

export function taskMethods(options: TaskServiceOptions): TtrpcMethods {
  const service = new TaskService(options);
  const methods: Record<string, (call: TtrpcCall) => Promise<Buffer>> = {
    Create: (call) => service.create(call),
    Start: (call) => service.start(call),
    Delete: (call) => service.delete(call),
    State: (call) => service.state(call),
    Pids: (call) => service.pids(call),
    Pause: (call) => service.named(call, ({ containerId }) => options.bundles.pause(containerId)),
    Resume: (call) => service.named(call, ({ containerId }) => options.bundles.resume(containerId)),
    Kill: (call) => service.kill(call),
    Exec: (call) => service.exec(call),
    ResizePty: (call) => service.resize(call),
    CloseIO: (call) => service.closeIo(call),
    Update: (call) => service.update(call),
    Wait: (call) => service.wait(call),
    Stats: (call) => service.stats(call),
    Connect: (call) => service.connect(call),
    // The process serves every task of the node: one task's end is not its own.
    Shutdown: async () => done,
    Checkpoint: async () => {
      throw new SampanError('Unsupported', 'Checkpoint: a task in a machine is not checkpointed');
    },
  };
  return new Map(
    services.flatMap((name) =>
      Object.entries(methods).map(([method, handler]) => [`${name}/${method}`, handler] as const),
    ),
  );
}

class TaskService {
  readonly #options: TaskServiceOptions;

  constructor(options: TaskServiceOptions) {
    this.#options = options;
  }

  #id(id: string): string {
    const { door, namespace } = this.#options;
    return bundleId({ door, namespace, id });
  }

  #ref({ id, execId }: Named): ProcessRef {
    return { containerId: this.#id(id), ...(execId ? { execId } : {}) };
  }

  #has(containerId: string): boolean {
    return this.#options.bundles.list().some(({ id }) => id === containerId);
  }

  async named(call: TtrpcCall, work: (ref: ProcessRef) => Promise<void>): Promise<Buffer> {
    await work(this.#ref(messages.processRequest.decode(call.payload)));
    return done;
  }

  async create(call: TtrpcCall): Promise<Buffer> {
    const request = messages.createRequest.decode(call.payload);
    const { bundles } = this.#options;
    if (request.checkpoint || request.parentCheckpoint)
      throw new SampanError('Unsupported', 'CreateTaskRequest.checkpoint: a task in a machine is not restored');
    const id = this.#id(request.id);
    const again = bundles.list().find((one) => one.id === id && one.bundle === request.bundle);
    if (again) return messages.pidResponse.encode({ pid: again.pid });
    const config = await readOciConfig(request.bundle);
    const plan = taskPlan(config, { ...this.#options, usualCgroup: `/${this.#options.namespace}/${request.id}` });
    await this.#options.onStep('task-rootfs');
    const rootfs = await this.#options.mounts.make(request.bundle, request.rootfs, config.root?.path);
    const sandboxId = plan.kind === 'own-machine' ? id : this.#id(plan.sandboxId);
    let release = () => {};
    try {
      const { stdin, stdout, stderr, terminal, bundle } = request;
      const given = { stdin, stdout, stderr };
      const target = this.#target(request.id, bundle);
      const stdio = stdioOf(given, target);
      release = await openStdio(given, stdio, target);
      await this.#options.onStep('task-machine');
      if (plan.kind === 'own-machine' && !bundles.listSandboxes().some((one) => one.id === id))
        await bundles.createSandbox({ id, ...plan.sandbox }, { containerId: id, name: request.id, bundle, config });
      const { pid } = await bundles.createContainer({
        ...{ id, name: request.id, sandboxId, bundle, config, rootfs },
        stdio,
        tty: terminal,
        // Of a Pod that the sandbox API made, the machine itself keeps the namespace.
        ...(plan.kind === 'in-sandbox' && this.#has(sandboxId) ? { pidNamespaceOf: sandboxId } : {}),
      });
      await this.#options.onStep('task-answer');
      return messages.pidResponse.encode({ pid });
    } catch (error) {
      if (plan.kind === 'own-machine') await bundles.deleteSandbox(id);
      await this.#options.mounts.remove(request.bundle);
      throw error;
    } finally {
      release();
    }
  }

  #target(id: string, bundle: string): LogTarget {
    return { namespace: this.#options.namespace, id, bundle };
  }

  async start(call: TtrpcCall): Promise<Buffer> {
    const { containerId, execId } = this.#ref(messages.processRequest.decode(call.payload));
    const { bundles } = this.#options;
    if (execId) {
      const { guestPid } = await bundles.startExec(containerId, execId);
      return messages.pidResponse.encode({ pid: guestPid });
    }
    const { pid } = await bundles.start(containerId);
    return messages.pidResponse.encode({ pid: pid || process.pid });
  }

  async delete(call: TtrpcCall): Promise<Buffer> {
    const { containerId, execId } = this.#ref(messages.processRequest.decode(call.payload));
    const { bundles } = this.#options;
    if (execId) {
      const pid = bundles.exec(containerId, execId).guestPid;
      return deleted(pid, await bundles.deleteExec(containerId, execId));
    }
    return removeTask(this.#options, containerId, false);
  }

  async state(call: TtrpcCall): Promise<Buffer> {
    const request = messages.processRequest.decode(call.payload);
    const { containerId, execId } = this.#ref(request);
    const { bundles } = this.#options;
    const container = bundles.container(containerId);
    const process = execId ? bundles.exec(containerId, execId) : container;
    const { stdin = '', stdout = '', stderr = '' } = process.stdio;
    return messages.stateResponse.encode({
      id: request.id,
      execId: request.execId,
      bundle: container.bundle,
      pid: 'pid' in process ? process.pid : process.guestPid,
      status: messages.taskStatus[process.state],
      ...{ stdin, stdout, stderr },
      terminal: process.tty,
      ...(process.exit ? exited(process.exit) : {}),
    });
  }

  async pids(call: TtrpcCall): Promise<Buffer> {
    const { containerId } = this.#ref(messages.processRequest.decode(call.payload));
    const { bundles } = this.#options;
    const { state } = bundles.container(containerId);
    const pids = state === 'stopped' ? [] : await bundles.pids(containerId);
    // containerd 2 that starts anew takes a task with an empty list for one that never came about, and its exit code would be lost.
    if (pids.length === 0)
      throw new SampanError('FailedPrecondition', `container ${containerId} is ${state}; it has no processes`);
    return messages.pidsResponse.encode({ processes: pids.map((pid) => ({ pid })) });
  }

  async kill(call: TtrpcCall): Promise<Buffer> {
    const request = messages.killRequest.decode(call.payload);
    await this.#options.bundles.kill(this.#ref(request), request.signal, request.all);
    return done;
  }

  async exec(call: TtrpcCall): Promise<Buffer> {
    const request = messages.execRequest.decode(call.payload);
    const { containerId } = this.#ref(request);
    const { stdin, stdout, stderr, terminal, execId } = request;
    const { bundles } = this.#options;
    const given = { stdin, stdout, stderr };
    const target = this.#target(execId, bundles.container(containerId).bundle);
    const stdio = stdioOf(given, target);
    // Said again by the relay, for a process of ours that died before it answered.
    const again = (one: BundleExec) =>
      one.containerId === containerId &&
      one.execId === execId &&
      one.stdio.stdout === stdio.stdout &&
      one.state === 'created';
    if (bundles.listExecs().some(again)) return done;
    const release = await openStdio(given, stdio, target);
    try {
      await bundles.addExec({
        ...{ containerId, execId, stdio, tty: terminal },
        process: jsonOf<OciProcess>(request.spec, 'ExecProcessRequest.spec'),
      });
      return done;
    } finally {
      release();
    }
  }

  async resize(call: TtrpcCall): Promise<Buffer> {
    const request = messages.resizeRequest.decode(call.payload);
    await this.#options.bundles.resize(this.#ref(request), request.width, request.height);
    return done;
  }

  async closeIo(call: TtrpcCall): Promise<Buffer> {
    const request = messages.closeRequest.decode(call.payload);
    if (request.stdin) await this.#options.bundles.closeStdin(this.#ref(request));
    return done;
  }

  async update(call: TtrpcCall): Promise<Buffer> {
    const request = messages.updateRequest.decode(call.payload);
    const { containerId } = this.#ref({ id: request.id, execId: '' });
    await this.#options.bundles.update(containerId, jsonOf(request.resources, 'UpdateTaskRequest.resources'));
    return done;
  }

  async wait(call: TtrpcCall): Promise<Buffer> {
    const ref = this.#ref(messages.processRequest.decode(call.payload));
    return messages.waitResponse.encode(exited(await this.#options.bundles.wait(ref)));
  }

  async stats(call: TtrpcCall): Promise<Buffer> {
    const { containerId } = this.#ref(messages.processRequest.decode(call.payload));
    return messages.statsResponse.encode({ stats: usageAny(await this.#options.bundles.stats(containerId)) });
  }

  async connect(call: TtrpcCall): Promise<Buffer> {
    const { containerId } = this.#ref(messages.processRequest.decode(call.payload));
    const { bundles } = this.#options;
    const { pid } = this.#has(containerId) ? bundles.container(containerId) : bundles.sandbox(containerId);
    return messages.connectResponse.encode({ shimPid: process.pid, taskPid: pid, version: this.#options.version });
  }
}

/** A task with everything it holds; `force`: also one that runs. Gives a DeleteResponse. */
export async function removeTask(
  { bundles, mounts, onStep }: Pick<TaskServiceOptions, 'bundles' | 'mounts' | 'onStep'>,
  containerId: string,
  force: boolean,
): Promise<Buffer> {
  const { sandboxId, bundle } = bundles.container(containerId);
  const pid = bundles.sandbox(sandboxId).pid;
  await onStep('task-delete-machine');
  const exit = await bundles.delete(containerId, { force, withSandbox: sandboxId === containerId });
  await onStep('task-delete-rootfs');
  await mounts.remove(bundle);
  return deleted(pid, exit);
}

const exited = ({ exitCode, finishedAtUnixNanos }: BundleExit) => ({
  exitStatus: exitCode,
  exitedAt: messages.timestampOf(finishedAtUnixNanos),
});

const deleted = (pid: number, exit: BundleExit): Buffer => messages.deleteResponse.encode({ pid, ...exited(exit) });

/** containerd's typeurl packs Go types of the runtime-spec as JSON. */
function jsonOf<T extends object>(packed: Partial<Decoded<typeof messages.any>> | undefined, what: string): T {
  try {
    const value: unknown = JSON.parse(Buffer.from(packed?.value ?? []).toString('utf8'));
    if (value && typeof value === 'object') return value as T;
  } catch {
    // Told below.
  }
  throw new SampanError('Invalid', `${what}: no JSON of the runtime-spec (${packed?.typeUrl ?? 'absent'})`);
}
