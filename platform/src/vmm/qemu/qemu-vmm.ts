/**
 * The QEMU driver of vmm.ts.
 *
 *   create ─▶ parked clone of the shape? adopt it ─▶ else template? clone it ─▶ else boot cold
 *
 * A template is made on a shape's first use, and waited for when that costs no more than booting cold. Owns the machines' directories,
 * <run>/templates, <run>/pool and <run>/acceleration.json. A VMM is its own process and outlives this object.
 */
import { existsSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import { run } from '../../base/child.ts';
import { type Clock, systemClock } from '../../base/clock.ts';
import { ensureDirectory } from '../../base/files.ts';
import type { Logger } from '../../base/log.ts';
import { SerialByKey } from '../../base/serial.ts';
import {
  checkDiskFiles,
  checkShareDirectories,
  checkSpec,
  checkTap,
  refuseNamespaces,
  refuseShares,
} from '../check-spec.ts';
import type { GuestArtifacts } from '../guest-artifacts.ts';
import { isAnothers } from '../machine-driver.ts';
import type { Machine, MachineShape, MachineSpec, Rehearsal, Vmm, VmmCapabilities } from '../vmm.ts';
import { type Accelerator, accelerationProfiles } from './acceleration.ts';
import { ClonePool } from './clone-pool.ts';
import { findMachine } from './find-machine.ts';
import { type Choose, HostAcceleration } from './host-acceleration.ts';
import { HostCgroups } from './host-cgroups.ts';
import type { QemuContext } from './qemu-context.ts';
import type { QemuMachine } from './qemu-machine.ts';
import { startFromPool, startMachine } from './start-machine.ts';
import { scrap } from './start-vmm.ts';
import { type Template, TemplateStore } from './templates.ts';
import { Turnstile } from './turnstile.ts';

/** virtiofsd, where Debian's and Ubuntu's packages have it. */
const shareServers = ['/usr/lib/qemu/virtiofsd', '/usr/libexec/virtiofsd'];

export interface QemuVmmOptions {
  /** The instance's directory on tmpfs. */
  run: string;
  guest: GuestArtifacts;
  /** sampan-launch (host/build.sh). */
  launcherPath: string;
  /** Tells this instance's cgroups from another's. */
  tag: string;
  log: Logger;
  clock?: Clock;
  /** Clones kept parked per recently used shape; default 0: none. */
  pool?: number;
  /** So many are kept for crowds that nobody expects, of all those shapes together, where memory lies idle; default none. */
  reserve?: number;
  /** So many are kept after a crowd, where memory lies idle (clone-pool.ts); default: no more than `pool`. */
  mostPool?: number;
  /** What a clone goes through before it is parked; absent: it is parked as it is. Without KVM it makes a start several times faster. */
  rehearsal?: Rehearsal;
  /** Bound on the host memory of all templates; default a quarter of the host's; 0: no templates, every machine boots cold. */
  templateBytes?: number;
  /** A machine's CPU ceiling comes into force so long after its start, or when it is told to settle(); default 5 s. */
  cpuGraceMs?: number;
  /** Default: qemu-system-x86_64 where Debian has it. */
  qemuPath?: string;
  /** Default: found out (kvm-probe.ts), and thought over when machines fail. */
  accelerator?: Accelerator;
  /** Who finds it out; default: chooseAccelerator(). */
  choose?: Choose;
}

/** Throws FailedPrecondition when QEMU or the launcher is missing, Unsupported on a machine that is not x86-64. */
export async function createQemuVmm(options: QemuVmmOptions): Promise<Vmm> {
  const {
    run: runDirectory,
    guest,
    launcherPath,
    tag,
    log,
    clock = systemClock,
    qemuPath = '/usr/bin/qemu-system-x86_64',
  } = options;
  if (process.arch !== 'x64')
    throw new SampanError('Unsupported', `the QEMU driver needs an x86-64 host, this one is ${process.arch}`);
  if (!existsSync(launcherPath))
    throw new SampanError('FailedPrecondition', `${launcherPath} is missing; run host/build.sh to make it`);
  await ensureDirectory(runDirectory, 0o711);
  const { stdout } = await run(qemuPath, ['--version']);
  const qemuVersion = /version ([^\n]{1,100})/.exec(stdout)?.[1] ?? 'unknown';
  const cgroups = await HostCgroups.open(tag);
  if (cgroups.unavailable)
    log.warn({ reason: cgroups.unavailable }, 'machines run without all or some of their ceilings on the host');
  const profile = accelerationProfiles.tcg;
  let measured: Promise<number> | undefined;
  const tscKhz = () => (measured ??= run(launcherPath, ['tsc']).then((result) => Number(result.stdout)));
  const context: QemuContext = {
    run: runDirectory,
    guest,
    launcherPath,
    qemuPath,
    qemuVersion,
    profile,
    tscKhz,
    rehearsal: options.rehearsal,
    shareServerPath: shareServers.find((path) => existsSync(path)),
    cgroups,
    clock,
    log,
  };
  const acceleration = await HostAcceleration.choose(context, options.accelerator, options.choose);
  log.info({ ...acceleration.verdict, qemuVersion }, 'virtual machines');
  const vmm = new QemuVmm(context, acceleration, options);
  await vmm.recover();
  return vmm;
}

class QemuVmm implements Vmm {
  readonly #context: QemuContext;
  readonly #acceleration: HostAcceleration;
  readonly #cpuGraceMs: number;
  readonly #templateless: boolean;
  readonly #templates: TemplateStore;
  readonly #pool: ClonePool;
  readonly #serial = new SerialByKey();
  readonly #starts = new Turnstile(2 * availableParallelism());
  /** This QEMU cannot give a clone a share: found out once. */
  #sharesBootCold = false;
  /** By directory. */
  readonly #machines = new Map<string, QemuMachine>();

  constructor(context: QemuContext, acceleration: HostAcceleration, options: QemuVmmOptions) {
    this.#context = context;
    this.#acceleration = acceleration;
    this.#cpuGraceMs = options.cpuGraceMs ?? 5_000;
    this.#templateless = options.templateBytes === 0;
    this.#templates = new TemplateStore(context, options.templateBytes ?? totalmem() / 4);
    const { pool = 0, reserve = 0, mostPool = pool } = options;
    this.#pool = new ClonePool(context, this.#templates, { least: pool, reserve, most: mostPool });
  }

  get #alwaysCold(): boolean {
    return this.#templateless || this.#acceleration.verdict.coldOnly === true;
  }

  async recover(): Promise<void> {
    await this.#pool.recover();
    await this.#templates.recover();
  }

  async capabilities(): Promise<VmmCapabilities> {
    const { accelerator, reason } = this.#acceleration.verdict;
    const shares = this.#context.shareServerPath !== undefined;
    return {
      driver: 'qemu',
      acceleration: accelerator,
      accelerationReason: reason,
      pause: true,
      attachDisk: true,
      shares,
    };
  }

  create(spec: MachineSpec): Promise<Machine> {
    return this.#serial.run(spec.directory, async () => {
      checkSpec(spec);
      refuseNamespaces(spec);
      const existing = await this.#find(spec.directory);
      if (existing && !existing.gone) return existing;
      checkDiskFiles(spec.id, spec.disks);
      checkTap(spec);
      if (!this.#context.shareServerPath) refuseShares(spec, 'qemu (without virtiofsd)');
      checkShareDirectories(spec);
      if (existsSync(spec.directory)) await scrap(this.#context, spec.directory);
      const template = this.#canBeCloned(spec) ? await this.#templateFor(spec.shape) : undefined;
      const machine = await this.#starts.run(() => this.#start(spec, template));
      this.#machines.set(spec.directory, machine);
      if (!spec.shares?.length) this.#pool.note(spec.shape);
      return machine;
    });
  }

  find(directory: string): Promise<Machine | undefined> {
    return this.#serial.run(directory, () => this.#find(directory));
  }

  destroy(directory: string): Promise<void> {
    return this.#serial.run(directory, async () => {
      if (await isAnothers(directory, 'qemu')) return;
      await this.#machines.get(directory)?.kill('the machine was destroyed');
      this.#machines.delete(directory);
      await scrap(this.#context, directory);
    });
  }

  async prepareTemplate(shape: MachineShape): Promise<void> {
    if (this.#alwaysCold) return;
    await this.#templates.ensure(shape);
    this.#pool.note(shape);
    await this.#pool.filled();
  }

  async teardown(): Promise<void> {
    await Promise.all([this.#pool.close(), this.#templates.close()]);
    await this.#templates.removeAll();
    await this.close();
  }

  async close(): Promise<void> {
    await Promise.all([this.#pool.close(), this.#templates.close()]);
    for (const machine of this.#machines.values()) machine.disconnect();
    await this.#context.cgroups.removeParents();
  }

  async #find(directory: string): Promise<QemuMachine | undefined> {
    const known = this.#machines.get(directory);
    if (known) return (await known.alive()) ? known : undefined;
    const found = await findMachine(this.#context, directory);
    if (found) this.#machines.set(directory, found);
    return found;
  }

  async #templateFor(shape: MachineShape): Promise<Template | undefined> {
    if (this.#alwaysCold) return undefined;
    const made = await this.#templates.get(shape);
    if (made) return made;
    const wait = await this.#templates.worthWaiting(shape);
    const making = this.#templates.ensure(shape).then(
      (template) => template,
      () => undefined,
    );
    return wait ? making : undefined;
  }

  /** A template has a place for one share (late-share.ts). */
  #canBeCloned({ shares = [] }: MachineSpec): boolean {
    return shares.length === 0 || (shares.length === 1 && !this.#sharesBootCold);
  }

  /** Tries the fastest way first; what fails there is logged, and the next way decides. */
  async #start(spec: MachineSpec, template: Template | undefined): Promise<QemuMachine> {
    const { log } = this.#context;
    // A parked clone's descriptor can only be tied to a device of the namespace it was opened in, the host's.
    const canAdopt = spec.nic && !spec.nic.netnsPath && !spec.shares?.length;
    const parked = template && canAdopt && this.#pool.take(template);
    const grace = { cpuGraceMs: this.#cpuGraceMs };
    if (parked) {
      try {
        return await startFromPool(this.#context, parked, { spec, ...grace });
      } catch (error) {
        log.warn({ machine: spec.id, error: messageOf(error) }, 'a parked clone was of no use, cloning anew');
      }
    }
    if (template) {
      try {
        return await startMachine(this.#context, { spec, template, ...grace });
      } catch (error) {
        log.warn({ machine: spec.id, error: messageOf(error) }, 'clone failed, booting cold');
        if (spec.shares?.length) this.#sharesBootCold = true;
        await this.#templates.verify(template);
      }
    }
    return this.#boot(spec, grace);
  }

  /** The last way; once more where the host gives another acceleration than the one that failed. */
  async #boot(spec: MachineSpec, grace: { cpuGraceMs: number }): Promise<QemuMachine> {
    const { profile } = this.#context;
    try {
      return await startMachine(this.#context, { spec, ...grace });
    } catch (error) {
      if (!(await this.#acceleration.isAnotherAfter(error, profile))) throw error;
      await this.#pool.empty();
      return startMachine(this.#context, { spec, ...grace });
    }
  }
}
