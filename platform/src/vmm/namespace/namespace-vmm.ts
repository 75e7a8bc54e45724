/**
 * The namespace driver of vmm.ts: a "machine" is the guest's agent, run on the host as PID 1 of fresh namespaces (guest/agent/src/host), with the
 * miniOS as its root. No guest kernel, no VMM, nothing but the host's kernel between its containers and the host: for trusted work.
 *
 * Owns the machines' directories and control groups. Mounts and loop devices hang on a machine's processes: the kernel takes them back when these die.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import { run } from '../../base/child.ts';
import { type Clock, systemClock } from '../../base/clock.ts';
import { ensureDirectory } from '../../base/files.ts';
import { LineChild } from '../../base/line-child.ts';
import type { Logger } from '../../base/log.ts';
import { SerialByKey } from '../../base/serial.ts';
import { removeOwnedParents } from '../cgroup-places.ts';
import { checkDiskFiles, checkShareDirectories, checkSpec } from '../check-spec.ts';
import type { GuestArtifacts } from '../guest-artifacts.ts';
import { isAnothers } from '../machine-driver.ts';
import type { Machine, MachineSpec, Vmm, VmmCapabilities } from '../vmm.ts';
import { isAlive, killAndWait, readProcessFile } from '../vmm-process.ts';
import { giveAll, startMachineProcess } from './agent-program.ts';
import { isInhabited, MachineCgroups } from './machine-cgroups.ts';
import { type MachineRecord, readMachineRecord, writeMachineRecord } from './machine-record.ts';
import { type NamespaceContext, NamespaceMachine } from './namespace-machine.ts';
import { canBeParked, type ParkedMachine, ParkedMachines } from './parked-machines.ts';

export interface NamespaceVmmOptions {
  /** The instance's directory on tmpfs. */
  run: string;
  guest: GuestArtifacts;
  /** Tells this instance's cgroups from another's. */
  tag: string;
  log: Logger;
  clock?: Clock;
  /** Machines kept ready ahead of need; default 0. */
  pool?: number;
}

const mib = 1024 * 1024;

/** Throws FailedPrecondition naming what the host lacks: EROFS, loop devices, control groups, the agent's program. */
export async function createNamespaceVmm(options: NamespaceVmmOptions): Promise<Vmm> {
  const { guest, tag, log, clock = systemClock } = options;
  await ensureDirectory(options.run, 0o711);
  await checkHost(guest.agentPath);
  const cgroups = await MachineCgroups.open(tag);
  // What is given does not wait for machines that start.
  const gives = new LineChild(guest.agentPath, ['lines']);
  const starts = new LineChild(guest.agentPath, ['lines']);
  const context = { rootfsPath: guest.rootfsPath, cgroups, gives, starts, clock, log };
  const vmm = new NamespaceVmm(context, options);
  await vmm.recover();
  return vmm;
}

async function checkHost(agentPath: string): Promise<void> {
  const lacks = (what: string) => new SampanError('FailedPrecondition', `runtime handler "namespace": ${what}`);
  if (process.getuid?.() !== 0) throw lacks('namespaces and mounts need root');
  if (!existsSync(agentPath)) throw lacks(`${agentPath} is missing; run guest/build.sh to make it`);
  for (const [name, there] of [
    ['erofs', () => readFile('/proc/filesystems', 'utf8').then((text) => /\berofs$/m.test(text))],
    ['overlay', () => readFile('/proc/filesystems', 'utf8').then((text) => /\boverlay$/m.test(text))],
    ['loop', async () => existsSync('/dev/loop-control')],
  ] as const) {
    if (await there()) continue;
    await run('modprobe', [name]).catch(() => {});
    if (!(await there())) throw lacks(`this host's kernel has no ${name} (modprobe ${name} failed)`);
  }
}

class NamespaceVmm implements Vmm {
  readonly #context: NamespaceContext;
  readonly #serial = new SerialByKey();
  /** By directory. */
  readonly #machines = new Map<string, NamespaceMachine>();
  readonly #parked: ParkedMachines;

  constructor(context: NamespaceContext, { run, pool = 0 }: Pick<NamespaceVmmOptions, 'run' | 'pool'>) {
    this.#context = context;
    this.#parked = new ParkedMachines({
      ...{ context, run, size: pool },
      start: (spec) => this.#startNew(spec),
      scrap: (directory) => this.#scrap(directory),
    });
  }

  recover(): Promise<void> {
    return this.#parked.recover();
  }

  async capabilities(): Promise<VmmCapabilities> {
    const accelerationReason = "containers run on the host's own kernel";
    return {
      driver: 'namespace',
      acceleration: 'none',
      accelerationReason,
      pause: true,
      attachDisk: true,
      shares: true,
    };
  }

  create(spec: MachineSpec): Promise<Machine> {
    return this.#serial.run(spec.directory, async () => {
      checkSpec(spec);
      if (spec.nic)
        throw new SampanError(
          'Unsupported',
          `machine ${spec.id}: on the host there is no NIC; the network puts eth0 into its namespace`,
        );
      const existing = await this.#find(spec.directory);
      if (existing) return existing;
      checkDiskFiles(spec.id, spec.disks);
      checkShareDirectories(spec);
      if (existsSync(spec.directory)) await this.#scrap(spec.directory);
      const machine = await this.#start(spec);
      this.#machines.set(spec.directory, machine);
      if (canBeParked(spec)) this.#parked.note();
      return machine;
    });
  }

  find(directory: string): Promise<Machine | undefined> {
    return this.#serial.run(directory, () => this.#find(directory));
  }

  destroy(directory: string): Promise<void> {
    return this.#serial.run(directory, async () => {
      if (await isAnothers(directory, 'namespace')) return;
      this.#parked.busy();
      await this.#machines.get(directory)?.kill('the machine was destroyed');
      this.#machines.delete(directory);
      await this.#scrap(directory);
    });
  }

  async prepareTemplate(): Promise<void> {}

  async close(): Promise<void> {
    await this.#parked.close();
    this.#context.gives.close();
    this.#context.starts.close();
    for (const machine of this.#machines.values()) machine.disconnect();
    await this.#context.cgroups.removeParents();
  }

  teardown(): Promise<void> {
    return this.close();
  }

  async #find(directory: string): Promise<NamespaceMachine | undefined> {
    const known = this.#machines.get(directory);
    if (known) return (await known.alive()) ? known : undefined;
    const [record, process] = await Promise.all([readMachineRecord(directory), readProcessFile(directory, 'pid')]);
    if (!process || !(await isAlive(process))) return undefined;
    if (record?.state !== 'running') {
      await killAndWait(process, this.#context.clock);
      return undefined;
    }
    const machine = new NamespaceMachine(this.#context, { directory, record, process });
    this.#machines.set(directory, machine);
    return machine;
  }

  /** One from stock, where it is of use; what fails there is logged, and a new one is started. */
  async #start(spec: MachineSpec): Promise<NamespaceMachine> {
    const { clock, log } = this.#context;
    const begunMs = clock.monotonicMs();
    const parked = canBeParked(spec) ? await this.#parked.take() : undefined;
    const adopted = parked && (await this.#adopt(parked, spec));
    const { directory, record, process } = adopted ?? (await this.#startNew(spec));
    const tookMs = Math.round(clock.monotonicMs() - begunMs);
    log.debug({ machine: spec.id, tookMs, parked: adopted !== undefined }, 'machine started on the host');
    return new NamespaceMachine(this.#context, { directory, record, process });
  }

  /** Undefined when it could not be made use of; it is gone then. */
  async #adopt(parked: ParkedMachine, spec: MachineSpec): Promise<ParkedMachine | undefined> {
    const { directory } = spec;
    try {
      const { cgroups } = parked.record;
      const record: MachineRecord = { ...this.#recordOf(spec), cgroups, state: 'running' };
      await Promise.all([this.#limit(spec, cgroups), giveAll(this.#context.gives, parked.directory, spec)]);
      await this.#parked.adopt(parked, directory, record);
      return { directory, record, process: parked.process };
    } catch (error) {
      this.#context.log.warn({ machine: spec.id, error: messageOf(error) }, 'a parked machine was of no use');
      await this.#scrap(parked.directory);
      await this.#scrap(directory);
      return undefined;
    }
  }

  #limit({ shape, cpuLimitMillicores }: MachineSpec, paths: readonly string[]): Promise<void> {
    const millicores = cpuLimitMillicores ?? shape.vcpus * 1000;
    return this.#context.cgroups.limit(paths, { memoryBytes: shape.memoryMib * mib, millicores });
  }

  #recordOf(spec: MachineSpec): MachineRecord {
    const scratchPath = spec.disks.find(({ slot }) => slot === 'scratch')?.path;
    return {
      format: 1,
      driver: 'namespace',
      id: spec.id,
      shape: spec.shape,
      state: 'starting',
      cgroups: this.#context.cgroups.paths(spec.id, spec.cgroupParent),
      ...(spec.cgroupParent?.isOwn ? { ownsCgroupParent: true } : {}),
      ...(spec.containerCgroup ? { containerCgroups: this.#context.cgroups.placesAt(spec.containerCgroup) } : {}),
      slots: spec.disks.map(({ slot }) => slot),
      ...(spec.shares?.length ? { shares: spec.shares.map(({ tag, directory }) => ({ tag, directory })) } : {}),
      ...(scratchPath ? { scratchPath } : {}),
    };
  }

  async #startNew(spec: MachineSpec): Promise<ParkedMachine> {
    const { cgroups, starts, rootfsPath } = this.#context;
    const { directory } = spec;
    const record = this.#recordOf(spec);
    await refuseInhabited(spec, record);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    try {
      await writeMachineRecord(directory, record);
      await cgroups.create(record.cgroups);
      await cgroups.makeCounter(record.containerCgroups ?? []);
      await this.#limit(spec, record.cgroups);
      const group = spec.containerCgroup && cgroups.nameOf(spec.id);
      const process = await startMachineProcess(starts, { spec, rootfsPath, cgroups: record.cgroups, group });
      const running: MachineRecord = { ...record, state: 'running' };
      await writeMachineRecord(directory, running);
      return { directory, record: running, process };
    } catch (error) {
      await this.#scrap(directory);
      throw error;
    }
  }

  /** Kills what a directory's files name, and waits until nothing of it is left on the host. Idempotent. */
  async #scrap(directory: string): Promise<void> {
    const { cgroups, clock } = this.#context;
    const [record, process] = await Promise.all([readMachineRecord(directory), readProcessFile(directory, 'pid')]);
    if (record) await cgroups.freeze([...record.cgroups, ...(record.containerCgroups ?? [])], false);
    if (process) await killAndWait(process, clock);
    if (record?.containerCgroups) await cgroups.removeOfContainer(record.containerCgroups, clock);
    if (record) await cgroups.remove(record.cgroups, clock);
    if (record?.ownsCgroupParent) await removeOwnedParents(record.cgroups, clock);
    if (record?.scratchPath) await this.#loopsCleared(record.scratchPath);
    await rm(directory, { recursive: true, force: true });
  }

  /** A loop device clears itself away a moment after the last process that saw its mount. */
  async #loopsCleared(path: string): Promise<void> {
    const { clock, log } = this.#context;
    for (let attempt = 0; attempt < 100; attempt++) {
      if (!(await isBehindLoop(path))) return;
      await clock.sleep(Math.min(1 + attempt, 50));
    }
    log.error({ path }, 'a loop device holds a file of a machine that is gone');
  }
}

/** What a container's group limits, it limits for all that are in it; and it ends with the container. */
async function refuseInhabited({ id, containerCgroup }: MachineSpec, { containerCgroups = [] }: MachineRecord) {
  for (const path of containerCgroups)
    if (await isInhabited(path))
      throw new SampanError(
        'FailedPrecondition',
        `machine ${id}: control group ${containerCgroup} has processes of others`,
      );
}

async function isBehindLoop(path: string): Promise<boolean> {
  const names = (await readdir('/sys/block')).filter((name) => name.startsWith('loop'));
  const files = await Promise.all(
    names.map((name) => readFile(`/sys/block/${name}/loop/backing_file`, 'utf8').catch(() => '')),
  );
  return files.some((file) => file.trim() === path);
}
