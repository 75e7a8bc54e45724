/**
 * The shim's end in the node-wide process. A control socket, on which containerd-shim-sampan-v2 says that containerd starts or gives up a task; and a door
 * for each namespace of each containerd and each handler: a ttrpc socket with the task API, since a call of containerd's says neither.
 *
 *   <run>/shim/control.sock    start <namespace> <id> <containerd's ttrpc socket> <bundle> <handler> <pid of containerd>  ->  the door's address
 *                              delete ...  ->  a DeleteResponse
 *   <run>/shim/<door>.sock     the task and sandbox API, for containerd: the relay's; <door>.json says whose it is, for whoever comes after a crash
 *   <run>/shim/<door>.inner    the same, for the relay
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import { z } from 'zod';
import type { Clock } from '../base/clock.ts';
import { writeFileAtomic } from '../base/files.ts';
import type { Logger } from '../base/log.ts';
import { SerialByKey } from '../base/serial.ts';
import type { BundleEvent, BundleRuntime } from '../runtime/bundles/bundle-runtime.ts';
import { containerdMajor, startAnswer } from './containerd/containerd-version.ts';
import { hostRootfsMounts, type RootfsMounts } from './containerd/rootfs-mounts.ts';
import { sandboxBundle, sandboxMethods } from './containerd/sandbox-service.ts';
import { taskEvent } from './containerd/task-events.ts';
import { bundleId, taskName } from './containerd/task-ids.ts';
import { deleteResponse, timestampOf } from './containerd/task-messages.ts';
import { removeTask, taskMethods } from './containerd/task-service.ts';
import { type ControlRequest, serveControl } from './control-socket.ts';
import { EventForwarder } from './event-forwarder.ts';
import { openRelayed, restRelay } from './relay-client.ts';
import { serveTtrpc } from './ttrpc/ttrpc-server.ts';

export interface ShimServiceOptions {
  bundles: BundleRuntime;
  /** Volatile state, on tmpfs. */
  run: string;
  canJoinNetns: boolean;
  version: string;
  clock: Clock;
  log: Logger;
  mounts?: RootfsMounts;
  /** For tests: called before each step whose interruption the next process must mend. */
  onStep?: (step: string) => void | Promise<void>;
  /** containerd-shim-sampan-v2, whose relay holds containerd's connections while we are away. Absent: doors are our own, and fall with us. */
  program?: string;
}

export interface ShimService {
  /** Where containerd-shim-sampan-v2 finds us. */
  controlPath: string;
  close(): Promise<void>;
}

interface Door {
  server: Server;
  forwarder: EventForwarder;
  path: string;
}

const doorFile = z.object({
  containerd: z.string().max(4096),
  namespace: z.string().max(76),
  handler: z.enum(['vm', 'namespace']).default('vm'),
});
type Owner = z.infer<typeof doorFile>;
const killedExit = 137;

/** Bundles are recovered already. */
export async function createShimService(options: ShimServiceOptions): Promise<ShimService> {
  const service = new Service(options);
  await service.start();
  return service;
}

class Service implements ShimService {
  readonly #options: Required<Omit<ShimServiceOptions, 'program'>> & Pick<ShimServiceOptions, 'program'>;
  readonly #directory: string;
  readonly #doors = new Map<string, Door>();
  readonly #locks = new SerialByKey();
  readonly #closing = new AbortController();
  readonly #sockets = new Set<Socket>();
  /** What Create answered: it names a task to its end, when the machine is long gone. */
  readonly #pids = new Map<string, number>();
  #control: Server | undefined;

  constructor(options: ShimServiceOptions) {
    this.#options = { mounts: hostRootfsMounts, onStep: () => {}, ...options };
    this.#directory = join(options.run, 'shim');
  }

  get controlPath(): string {
    return join(this.#directory, 'control.sock');
  }

  async start(): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    void this.#followEvents();
    // Before anybody can ask: a Create that is said again would meet the machine that is being removed.
    await this.#removeForsaken();
    for (const name of await readdir(this.#directory)) {
      if (!name.endsWith('.json')) continue;
      const parsed = doorFile.safeParse(JSON.parse(await readFile(join(this.#directory, name), 'utf8')));
      if (parsed.success) await this.#door(parsed.data);
    }
    this.#control = serveControl({
      start: (task) => this.#start(task),
      delete: (task) => this.#delete(task),
    });
    await listen(this.#control, this.controlPath);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    const servers = [this.#control, ...[...this.#doors.values()].map(({ server }) => server)];
    for (const server of servers) server?.close();
    if (this.#options.program) await restRelay(this.#directory);
    for (const socket of this.#sockets) socket.destroy();
  }

  async #start({ id, parent, ...owner }: ControlRequest): Promise<Buffer> {
    bundleId({ door: doorOf(owner), namespace: owner.namespace, id });
    const [{ path }, major] = await Promise.all([this.#door(owner), containerdMajor(parent)]);
    return startAnswer(`unix://${path}`, major);
  }

  /** containerd gives the task up, or the sandbox: its shim could not be reached, or its start failed. */
  async #delete({ id, bundle, ...owner }: ControlRequest): Promise<Buffer> {
    const { bundles, mounts, clock, onStep } = this.#options;
    const name = bundleId({ door: doorOf(owner), namespace: owner.namespace, id });
    const known = bundles.list().some((one) => one.id === name);
    if (known) return removeTask({ bundles, mounts, onStep }, name, true);
    await bundles.deleteSandbox(name);
    await mounts.remove(bundle);
    const exitedAt = timestampOf(BigInt(Math.floor(clock.now())) * 1_000_000n);
    return deleteResponse.encode({ exitStatus: killedExit, exitedAt });
  }

  #door(owner: Owner): Promise<Door> {
    const name = doorOf(owner);
    return this.#locks.run(name, async () => {
      const open = this.#doors.get(name);
      if (open) return open;
      const { clock, log, bundles, mounts, canJoinNetns, version, onStep } = this.#options;
      const { namespace, handler } = owner;
      const whose = { bundles, door: name, namespace, handler, canJoinNetns };
      const methods = new Map([
        ...taskMethods({ ...whose, mounts, version, onStep }),
        ...sandboxMethods({ ...whose, clock }),
      ]);
      const server = createServer((socket) => {
        this.#sockets.add(socket);
        socket.on('close', () => this.#sockets.delete(socket));
        serveTtrpc(socket, methods);
      });
      const path = join(this.#directory, `${name}.sock`);
      const door = { server, path, forwarder: new EventForwarder({ socketPath: owner.containerd, clock, log }) };
      await writeFileAtomic(join(this.#directory, `${name}.json`), JSON.stringify(doorFile.parse(owner)), {
        durable: false,
      });
      const { program } = this.#options;
      await listen(server, program ? join(this.#directory, `${name}.inner`) : path);
      if (program) await openRelayed({ program, directory: this.#directory, clock }, name);
      this.#doors.set(name, door);
      return door;
    });
  }

  async #followEvents(): Promise<void> {
    const { bundles, log } = this.#options;
    try {
      for await (const event of bundles.events(this.#closing.signal)) this.#forward(event);
    } catch (error) {
      log.error({ error: messageOf(error) }, 'events of containers are no longer followed');
    }
  }

  #forward(event: BundleEvent): void {
    if (event.type === 'sandbox-ended') return;
    const task = taskName(event.containerId);
    const door = task && this.#doors.get(task.door);
    if (!task || !door) return;
    const { bundles } = this.#options;
    const container = bundles.list().find((one) => one.id === event.containerId);
    if (container?.pid) this.#pids.set(event.containerId, container.pid);
    const pid = this.#pids.get(event.containerId) ?? 0;
    if (event.type === 'deleted') this.#pids.delete(event.containerId);
    // Created and deleted before its event came up: there is nothing to tell.
    if (event.type === 'created' && !container) return;
    const told = taskEvent(event, task, pid, bundles);
    if (told) door.forwarder.tell(task.namespace, told);
  }

  /** Tasks and sandboxes whose bundle containerd has removed while nobody was here to be told. */
  async #removeForsaken(): Promise<void> {
    const { bundles, mounts, log, onStep } = this.#options;
    const cannot = (what: object) => (error: unknown) =>
      log.error({ ...what, error: messageOf(error) }, 'cannot remove it');
    const tasks = new Set(bundles.list().map(({ sandboxId }) => sandboxId));
    for (const { id, annotations } of bundles.listSandboxes()) {
      const bundle = annotations[sandboxBundle];
      const isKept = bundle ? await stat(bundle).catch(() => undefined) : tasks.has(id);
      // A machine of a task's own, whose task was never made or is deleted already, is nobody's.
      if (!taskName(id) || isKept) continue;
      log.info({ sandbox: id }, 'nothing needs it any more: it is removed');
      await bundles.deleteSandbox(id).catch(cannot({ sandbox: id }));
    }
    for (const { id, bundle } of bundles.list()) {
      const isOurs = taskName(id) !== undefined;
      if (!isOurs || (await stat(bundle).catch(() => undefined))) continue;
      log.info({ task: id }, 'its bundle is gone: it is removed');
      await removeTask({ bundles, mounts, onStep }, id, true).catch(cannot({ task: id }));
    }
  }
}

/** Eight digits of whose socket it is. */
const doorOf = ({ containerd, namespace, handler }: Owner): string =>
  createHash('sha256')
    .update(`${namespace} ${containerd}${handler === 'vm' ? '' : ` ${handler}`}`)
    .digest('hex')
    .slice(0, 8);

async function listen(server: Server, path: string): Promise<void> {
  if (Buffer.byteLength(path) > 107) throw new SampanError('Invalid', `${path} is too long for a socket`);
  await rm(path, { force: true });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(path, resolve);
  await promise;
}
