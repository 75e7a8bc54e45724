/**
 * One QEMU machine: the server's view of it. The machine lives on when this object goes (disconnect).
 * Owns the QMP connection; does not own the directory (qemu-vmm.ts makes and removes it).
 */
import { join } from 'node:path';
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import { readTextIfExists } from '../../base/files.ts';
import { SerialByKey } from '../../base/serial.ts';
import { countBeside } from '../cgroup-places.ts';
import { checkDiskFiles, checkShareMount } from '../check-spec.ts';
import { checkDisks } from '../slots.ts';
import type { DiskAttachment, Machine, MachineExit, MachineShape, MachineStats, ShareMount } from '../vmm.ts';
import { cpuNanosOf, isAlive, killAndWait, type ProcessId, pssBytesOf } from '../vmm-process.ts';
import { putDisk, sendDisk } from './disk-slots.ts';
import { DiskWait } from './disk-wait.ts';
import { Launcher } from './launcher.ts';
import { socketNames } from './launcher-arguments.ts';
import { decideExit } from './machine-exit.ts';
import { type MachineRecord, writeMachineRecord } from './machine-record.ts';
import { consoleBytes } from './qemu-arguments.ts';
import type { QemuContext } from './qemu-context.ts';
import { type QmpClient, statusOf } from './qmp.ts';
import { firstDead, mountInShare, shareServerWords } from './share-servers.ts';

const shareWatchMs = 500;
/** Of the VMM's log; the registers of a processor are 2 KiB. */
const logBytes = 64 * 1024;

export class QemuMachine implements Machine {
  readonly id: string;
  readonly directory: string;
  readonly shape: MachineShape;
  readonly origin: 'template' | 'cold';
  readonly channelPath: string;
  readonly exited: Promise<MachineExit>;
  readonly process: ProcessId;
  readonly #context: QemuContext;
  readonly #qmp: QmpClient;
  readonly #serial = new SerialByKey();
  /** The CPU ceiling is in force, or will never be. */
  readonly #stop = new AbortController();
  /** The machine is gone, or let go of. */
  readonly #over = new AbortController();
  readonly #diskWait: DiskWait;
  readonly #resolveExited: (exit: MachineExit) => void;
  #record: MachineRecord;
  #console = '';
  #shutdownCause: string | undefined;
  #isStuck = false;
  /** Times it was said to stand still since that was last looked into. */
  #stops = 0;
  #ended: string | undefined;
  #finishing: Promise<void> | undefined;

  constructor(
    context: QemuContext,
    parts: { directory: string; record: MachineRecord; process: ProcessId; qmp: QmpClient },
  ) {
    this.#context = context;
    this.directory = parts.directory;
    this.#record = parts.record;
    this.process = parts.process;
    this.#qmp = parts.qmp;
    this.id = parts.record.id;
    this.shape = parts.record.shape;
    this.origin = parts.record.origin;
    this.channelPath = join(parts.directory, socketNames.channel);
    const { promise, resolve } = Promise.withResolvers<MachineExit>();
    this.exited = promise;
    this.#resolveExited = resolve;
    const { clock, log } = context;
    const goOn = () => this.#qmp.call('cont');
    this.#diskWait = new DiskWait({ machine: this.id, goOn, clock, log, over: this.#over.signal });
    this.#qmp.onEvent = (event) => {
      if (event.event === 'SHUTDOWN') this.shutDown(String(event.data.reason ?? ''));
      if (event.event === 'STOP') void this.#seeWhyItStands();
      this.#diskWait.see(event);
    };
    void this.#qmp.closed.then(() => this.#finish());
    // Nobody listened until now.
    void this.#seeWhyItStands();
    void this.#limitCpuLater();
    if (this.#record.shares?.length) void this.#watchShares(this.#record.shares);
  }

  get pid(): number {
    return this.process.pid;
  }

  get waitsFor(): 'room' | undefined {
    return this.#diskWait.isWaiting ? 'room' : undefined;
  }

  get gone(): boolean {
    return this.#finishing !== undefined;
  }

  /** The guest is down and its VMM waits to be asked why. */
  shutDown(cause: string): void {
    this.#shutdownCause ??= cause.slice(0, 64);
    void this.#finish();
  }

  /** What its VMM says of its state to a server that has just come: what happened to it meanwhile. */
  takeUp(status: string): void {
    if (status === 'shutdown' || status === 'guest-panicked') this.shutDown('guest-reset');
    if (status === 'io-error') this.#diskWait.stands();
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
      const launcher = new Launcher(
        this.#context.launcherPath,
        ['pass', join(this.directory, socketNames.passMonitor)],
        this.#context.clock,
      );
      try {
        await sendDisk(launcher, disk);
        await putDisk(this.#qmp, disk);
      } finally {
        await launcher.kill();
      }
      this.#record = { ...this.#record, slots: [...this.#record.slots, disk.slot] };
      await writeMachineRecord(this.directory, this.#record);
    });
  }

  async mountInShare(mount: ShareMount): Promise<void> {
    checkShareMount(this.id, mount);
    const { id, directory } = this;
    await this.#serial.run('shares', async () => {
      this.#assertHere('mountInShare');
      await mountInShare(this.#context.launcherPath, { id, directory, shares: this.#record.shares ?? [] }, mount);
    });
  }

  async pause(): Promise<void> {
    this.#assertHere('pause');
    await this.#qmp.call('stop');
  }

  async resume(): Promise<void> {
    this.#assertHere('resume');
    await this.#qmp.call('cont');
  }

  async settle(): Promise<void> {
    this.#stop.abort();
    if (!this.gone) await this.#context.cgroups.setCpuLimit(this.#record.cgroups, this.#record.cpuLimit.millicores);
  }

  async stats(): Promise<MachineStats> {
    const [inCgroup, ofProcess, pssBytes] = await Promise.all([
      this.#context.cgroups.cpuNanos(this.#record.cgroups),
      cpuNanosOf(this.process),
      pssBytesOf(this.process),
    ]);
    if (ofProcess === undefined) throw this.#goneError('stats');
    return { cpuNanos: inCgroup ?? ofProcess, pssBytes };
  }

  async countBeside(pid: number): Promise<void> {
    if (this.#record.ownsCgroupParent) await countBeside(pid, this.#record.cgroups);
  }

  async consoleTail(): Promise<string> {
    if (!this.gone) await this.#readConsole();
    return this.#console;
  }

  /** Ends it, whatever it does. Resolves when the process is gone. */
  async kill(why: string): Promise<void> {
    this.#ended ??= why;
    await this.#finish();
  }

  /** Lets go of the machine, which goes on; `exited` stays open. */
  disconnect(): void {
    this.#finishing ??= Promise.resolve();
    this.#stop.abort();
    this.#over.abort();
    this.#qmp.close();
  }

  /** A processor that KVM cannot run on stops the machine, and nothing but its status tells that from a pause. */
  async #seeWhyItStands(): Promise<void> {
    if (++this.#stops > 1) return;
    for (let seen = 0; seen !== this.#stops; ) {
      seen = this.#stops;
      const status = await statusOf(this.#qmp).catch(() => undefined);
      if (status === 'internal-error') this.#stick();
    }
    this.#stops = 0;
  }

  /** It would stand there for ever. */
  #stick(): void {
    this.#isStuck = true;
    void this.#finish();
  }

  #finish(): Promise<void> {
    this.#finishing ??= this.#end();
    return this.#finishing;
  }

  async #end(): Promise<void> {
    this.#stop.abort();
    this.#over.abort();
    const { clock, log } = this.#context;
    if (this.#shutdownCause) await this.#readConsole();
    try {
      await killAndWait(this.process, clock);
    } catch (error) {
      log.error({ machine: this.id, error: messageOf(error) }, 'a VMM does not die');
    }
    this.#qmp.close();
    const breach = await this.#qmp.closed;
    const exit = decideExit({
      shutdownCause: this.#shutdownCause,
      console: this.#console,
      log: (await readTextIfExists(join(this.directory, 'vmm.log')).catch(() => undefined))?.slice(-logBytes) ?? '',
      isStuck: this.#isStuck,
      ended: this.#ended ?? breach?.message,
    });
    log.info({ machine: this.id, ...exit }, 'machine is gone');
    this.#resolveExited(exit);
  }

  /** The ring is emptied by reading: what was read is kept here. */
  async #readConsole(): Promise<void> {
    const text = await this.#qmp.call('ringbuf-read', { device: 'console', size: consoleBytes }, 2_000).catch(() => '');
    if (typeof text === 'string') this.#console = (this.#console + text).slice(-consoleBytes);
  }

  async #limitCpuLater(): Promise<void> {
    const { clock, log } = this.#context;
    try {
      await clock.sleep(Math.max(0, this.#record.cpuLimit.fromMs - clock.now()), this.#stop.signal);
      await this.settle();
    } catch (error) {
      if (!this.#stop.signal.aborted)
        log.warn({ machine: this.id, error: messageOf(error) }, 'no CPU ceiling on a machine');
    }
  }

  /** Whoever waits for a file of a share waits for ever once its server is gone, and the VMM does not tell: so the machine ends. */
  async #watchShares(shares: NonNullable<MachineRecord['shares']>): Promise<void> {
    const { clock, log } = this.#context;
    try {
      for (;;) {
        const dead = await firstDead(this.directory, shares);
        // With the VMM they all go.
        if (dead !== undefined && (await this.alive())) {
          await this.kill(await shareServerWords(this.directory, shares, dead));
          return;
        }
        await clock.sleep(shareWatchMs, this.#over.signal);
      }
    } catch (error) {
      if (!this.#over.signal.aborted) log.warn({ machine: this.id, error: messageOf(error) }, 'shares are not watched');
    }
  }

  #assertHere(what: string): void {
    if (this.gone) throw this.#goneError(what);
  }

  #goneError(what: string): SampanError {
    return new SampanError('FailedPrecondition', `machine ${this.id} is gone; ${what} wants a running one`);
  }

  /** True while its VMM lives. */
  async alive(): Promise<boolean> {
    return !this.gone && (await isAlive(this.process));
  }
}
