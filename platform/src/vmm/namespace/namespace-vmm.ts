/**
 * The namespace driver of vmm.ts: a "machine" is the guest's agent, run on the host as PID 1 of fresh namespaces (guest/agent/src/host), with the
 * miniOS as its root. No guest kernel, no VMM, nothing but the host's kernel between its containers and the host: for trusted work.
 *
 * Owns the machines' directories and control groups. Mounts and loop devices hang on a machine's processes: the kernel takes them back when these die.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { SampanError } from '@sampan/api/errors.ts';
import { run } from '../../base/child.ts';
import { type Clock, systemClock } from '../../base/clock.ts';
import { ensureDirectory } from '../../base/files.ts';
import type { Logger } from '../../base/log.ts';
import { SerialByKey } from '../../base/serial.ts';
import { checkDiskFiles, checkShareDirectories, checkSpec } from '../check-spec.ts';
import type { GuestArtifacts } from '../guest-artifacts.ts';
import { isAnothers } from '../machine-driver.ts';
import type { Machine, MachineSpec, Vmm, VmmCapabilities } from '../vmm.ts';
import { isAlive, killAndWait, readProcessFile } from '../vmm-process.ts';
import { startMachineProcess } from './agent-program.ts';
import { MachineCgroups } from './machine-cgroups.ts';
import { type MachineRecord, readMachineRecord, writeMachineRecord } from './machine-record.ts';
import { type NamespaceContext, NamespaceMachine } from './namespace-machine.ts';

export interface NamespaceVmmOptions {
  /** The instance's directory on tmpfs. */
  run: string;
  guest: GuestArtifacts;
  /** Tells this instance's cgroups from another's. */
  tag: string;
  log: Logger;
  clock?: Clock;
}

const mib = 1024 * 1024;

/** Throws FailedPrecondition naming what the host lacks: EROFS, loop devices, control groups, the agent's program. */
export async function createNamespaceVmm(options: NamespaceVmmOptions): Promise<Vmm> {
  const { guest, tag, log, clock = systemClock } = options;
  await ensureDirectory(options.run, 0o711);
  await checkHost(guest.agentPath);
  const cgroups = await MachineCgroups.open(tag);
  return new NamespaceVmm({ agentPath: guest.agentPath, rootfsPath: guest.rootfsPath, cgroups, clock, log });
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

  constructor(context: NamespaceContext) {
    this.#context = context;
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
      return machine;
    });
  }

  find(directory: string): Promise<Machine | undefined> {
    return this.#serial.run(directory, () => this.#find(directory));
  }

  destroy(directory: string): Promise<void> {
    return this.#serial.run(directory, async () => {
      if (await isAnothers(directory, 'namespace')) return;
      await this.#machines.get(directory)?.kill('the machine was destroyed');
      this.#machines.delete(directory);
      await this.#scrap(directory);
    });
  }

  async prepareTemplate(): Promise<void> {}

  async close(): Promise<void> {
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

  async #start(spec: MachineSpec): Promise<NamespaceMachine> {
    const { cgroups, clock, agentPath, rootfsPath } = this.#context;
    const { directory, shape } = spec;
    const begunMs = clock.monotonicMs();
    const scratchPath = spec.disks.find(({ slot }) => slot === 'scratch')?.path;
    const record: MachineRecord = {
      format: 1,
      driver: 'namespace',
      id: spec.id,
      shape,
      state: 'starting',
      cgroups: cgroups.paths(spec.id),
      slots: spec.disks.map(({ slot }) => slot),
      ...(spec.shares?.length ? { shares: spec.shares.map(({ tag, directory }) => ({ tag, directory })) } : {}),
      ...(scratchPath ? { scratchPath } : {}),
    };
    await mkdir(directory, { recursive: true, mode: 0o700 });
    try {
      await writeMachineRecord(directory, record);
      await cgroups.create(record.cgroups);
      const millicores = spec.cpuLimitMillicores ?? shape.vcpus * 1000;
      await cgroups.limit(record.cgroups, { memoryBytes: shape.memoryMib * mib, millicores });
      const process = await startMachineProcess(agentPath, { spec, rootfsPath, cgroups: record.cgroups });
      const running: MachineRecord = { ...record, state: 'running' };
      await writeMachineRecord(directory, running);
      const tookMs = Math.round(clock.monotonicMs() - begunMs);
      this.#context.log.debug({ machine: spec.id, tookMs }, 'machine started on the host');
      return new NamespaceMachine(this.#context, { directory, record: running, process });
    } catch (error) {
      await this.#scrap(directory);
      throw error;
    }
  }

  /** Kills what a directory's files name, and waits until nothing of it is left on the host. Idempotent. */
  async #scrap(directory: string): Promise<void> {
    const { cgroups, clock } = this.#context;
    const [record, process] = await Promise.all([readMachineRecord(directory), readProcessFile(directory, 'pid')]);
    if (record) await cgroups.freeze(record.cgroups, false);
    if (process) await killAndWait(process, clock);
    if (record) await cgroups.remove(record.cgroups, clock);
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

async function isBehindLoop(path: string): Promise<boolean> {
  const names = (await readdir('/sys/block')).filter((name) => name.startsWith('loop'));
  const files = await Promise.all(
    names.map((name) => readFile(`/sys/block/${name}/loop/backing_file`, 'utf8').catch(() => '')),
  );
  return files.some((file) => file.trim() === path);
}
