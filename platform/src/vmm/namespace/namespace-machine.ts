/**
 * One machine on the host: the server's view of it. The machine lives on when this object goes (disconnect).
 * Owns the connection that tells of its end; does not own the directory (namespace-vmm.ts makes and removes it).
 */
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import type { Clock } from '../../base/clock.ts';
import { readTextIfExists } from '../../base/files.ts';
import type { LineChild } from '../../base/line-child.ts';
import type { Logger } from '../../base/log.ts';
import { SerialByKey } from '../../base/serial.ts';
import { countBeside } from '../cgroup-places.ts';
import { channelName, checkDiskFiles, checkShareMount } from '../check-spec.ts';
import { makeSharePlace } from '../share-place.ts';
import { checkDisks } from '../slots.ts';
import type { DiskAttachment, Machine, MachineExit, MachineShape, MachineStats, ShareMount } from '../vmm.ts';
import { isAlive, killAndWait, type ProcessId } from '../vmm-process.ts';
import { giftsName, giveDisk, giveShareMount } from './agent-program.ts';
import type { MachineCgroups } from './machine-cgroups.ts';
import { type MachineRecord, writeMachineRecord } from './machine-record.ts';

export interface NamespaceContext {
  rootfsPath: string;
  cgroups: MachineCgroups;
  /** The agent's program, which hands things to machines that run. */
  gives: LineChild;
  /** Makes machines. */
  starts: LineChild;
  clock: Clock;
  log: Logger;
}

const consoleBytes = 16 * 1024;

export class NamespaceMachine implements Machine {
  readonly id: string;
  readonly directory: string;
  readonly shape: MachineShape;
  readonly origin = 'cold';
  readonly channelPath: string;
  readonly exited: Promise<MachineExit>;
  readonly process: ProcessId;
  readonly #context: NamespaceContext;
  readonly #serial = new SerialByKey();
  readonly #resolveExited: (exit: MachineExit) => void;
  #watch: Socket | undefined;
  #record: MachineRecord;
  #ended: string | undefined;
  #finishing: Promise<void> | undefined;

  constructor(context: NamespaceContext, parts: { directory: string; record: MachineRecord; process: ProcessId }) {
    this.#context = context;
    this.directory = parts.directory;
    this.#record = parts.record;
    this.process = parts.process;
    this.id = parts.record.id;
    this.shape = parts.record.shape;
    this.channelPath = join(parts.directory, channelName);
    const { promise, resolve } = Promise.withResolvers<MachineExit>();
    this.exited = promise;
    this.#resolveExited = resolve;
    this.#watchEnd();
  }

  get pid(): number {
    return this.process.pid;
  }

  get netnsPath(): string {
    return `/proc/${this.process.pid}/ns/net`;
  }

  get gone(): boolean {
    return this.#finishing !== undefined;
  }

  async attachDisk(disk: DiskAttachment): Promise<void> {
    checkDisks(this.id, [disk]);
    checkDiskFiles(this.id, [disk]);
    await this.#serial.run('disks', async () => {
      this.#assertHere('attachDisk');
      if (this.#record.slots.includes(disk.slot))
        throw new SampanError(
          'FailedPrecondition',
          `machine ${this.id}: slot ${disk.slot} has a disk already; wanted an empty one`,
        );
      await giveDisk(this.#context.gives, join(this.directory, giftsName), disk);
      this.#record = { ...this.#record, slots: [...this.#record.slots, disk.slot] };
      await writeMachineRecord(this.directory, this.#record);
    });
  }

  async mountInShare(mount: ShareMount): Promise<void> {
    checkShareMount(this.id, mount);
    await this.#serial.run('shares', async () => {
      this.#assertHere('mountInShare');
      const share = this.#record.shares?.find(({ tag }) => tag === mount.tag);
      if (!share) throw new SampanError('NotFound', `machine ${this.id} has no share ${mount.tag}`);
      await makeSharePlace(share.directory, mount, 'host');
      await giveShareMount(this.#context.gives, join(this.directory, giftsName), mount);
    });
  }

  async pause(): Promise<void> {
    this.#assertHere('pause');
    const { cgroups, containerCgroups = [] } = this.#record;
    await this.#context.cgroups.freeze([...containerCgroups, ...cgroups], true);
  }

  async resume(): Promise<void> {
    this.#assertHere('resume');
    const { cgroups, containerCgroups = [] } = this.#record;
    await this.#context.cgroups.freeze([...containerCgroups, ...cgroups], false);
  }

  /** There is no VMM: what it costs is what its control group uses. */
  async stats(): Promise<MachineStats> {
    this.#assertHere('stats');
    const { cgroups } = this.#context;
    const [cpuNanos, pssBytes] = await Promise.all([
      cgroups.cpuNanos(this.#record.cgroups),
      cgroups.memoryBytes(this.#record.cgroups),
    ]);
    return { cpuNanos, pssBytes };
  }

  async countBeside(pid: number): Promise<void> {
    const { ownsCgroupParent, cgroups, containerCgroups } = this.#record;
    if (ownsCgroupParent) await countBeside(pid, cgroups);
    if (containerCgroups) await this.#context.cgroups.countBeside(pid, containerCgroups);
  }

  async consoleTail(): Promise<string> {
    const text = await readTextIfExists(join(this.directory, 'console')).catch(() => undefined);
    return (text ?? '').slice(-consoleBytes);
  }

  async kill(why: string): Promise<void> {
    this.#ended ??= why;
    await this.#finish();
  }

  async alive(): Promise<boolean> {
    return !this.gone && (await isAlive(this.process));
  }

  /** Lets go of the machine, which goes on; `exited` stays open. */
  disconnect(): void {
    this.#finishing ??= Promise.resolve();
    this.#watch?.destroy();
  }

  /** A connection that nobody speaks on: the kernel closes it when the agent ends. */
  #watchEnd(): void {
    const watch = connect(join(this.directory, giftsName));
    this.#watch = watch;
    watch.unref();
    watch.on('connect', () => watch.write('watch'));
    watch.on('error', () => {});
    watch.on('close', () => void this.#closed());
    watch.resume();
  }

  /** The connection goes a moment before the process; or it went alone, because the agent keeps only so many. */
  async #closed(): Promise<void> {
    for (let attempt = 0; attempt < 20 && !this.gone; attempt++) {
      if (!(await isAlive(this.process))) return this.#finish();
      await this.#context.clock.sleep(5);
    }
    if (!this.gone) this.#watchEnd();
  }

  #finish(): Promise<void> {
    this.#finishing ??= this.#end();
    return this.#finishing;
  }

  async #end(): Promise<void> {
    const { clock, log } = this.#context;
    try {
      // A paused machine cannot die.
      const { cgroups, containerCgroups = [] } = this.#record;
      await this.#context.cgroups.freeze([...cgroups, ...containerCgroups], false);
      await killAndWait(this.process, clock);
    } catch (error) {
      log.error({ machine: this.id, error: messageOf(error) }, 'a machine on the host does not die');
    }
    this.#watch?.destroy();
    const said = (await this.consoleTail()).trim().split('\n');
    // What it says when all is well is no reason.
    const words = said.findLast((line) => line !== 'sampan-agent: ready') ?? '';
    const message = (this.#ended ?? (words || 'its agent ended without a word')).slice(0, 1024);
    log.info({ machine: this.id, message }, 'machine is gone');
    this.#resolveExited({ kind: 'killed', message });
  }

  #assertHere(what: string): void {
    if (this.gone)
      throw new SampanError('FailedPrecondition', `machine ${this.id} is gone; ${what} wants a running one`);
  }
}
