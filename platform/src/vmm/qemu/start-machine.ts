/** Makes a machine of a spec: its directory, record and cgroups, and the VMM. On error nothing of it is left. */
import { mkdir, stat, statfs } from 'node:fs/promises';
import type { DiskAttachment, MachineSpec, NicAttachment } from '../vmm.ts';
import { adoptClone } from './adopt-clone.ts';
import { plugShare } from './late-share.ts';
import { type MachineRecord, writeMachineRecord } from './machine-record.ts';
import type { ParkedClone } from './park-clone.ts';
import { Phases } from './phases.ts';
import { placeholderMac } from './qemu-arguments.ts';
import { type QemuContext, uidFor } from './qemu-context.ts';
import { QemuMachine } from './qemu-machine.ts';
import { readTemplateState, type StartOptions, scrap, startVmm, withVmmWords } from './start-vmm.ts';
import type { Template } from './templates.ts';

export interface StartMachineOptions {
  spec: MachineSpec;
  /** Absent: boots cold. */
  template?: Template;
  cpuGraceMs: number;
}

/** Throws InternalError or ResourceExhausted with QEMU's words. */
export async function startMachine(context: QemuContext, options: StartMachineOptions): Promise<QemuMachine> {
  const { spec, template } = options;
  const { directory, shape, disks, nic, shares } = spec;
  const phases = new Phases(context.clock);
  const record = recordOf(context, options);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  try {
    await writeMachineRecord(directory, record);
    await context.cgroups.create(record.cgroups);
    await limit(context, record, spec);
    phases.end('directory');
    const vmm = await startVmm(context, {
      mode: 'run',
      start: template ? 'clone' : 'cold',
      directory,
      uid: record.uid,
      cgroups: record.cgroups,
      shape,
      disks,
      nic: nicOf(nic, template),
      template,
      shares,
      phases,
    });
    vmm.launcher.detach();
    if (template) {
      await readTemplateState(vmm.qmp);
      phases.end('state');
      for (const { tag } of shares ?? []) await plugShare(vmm.qmp, tag);
      // The template was stopped when it was frozen, and that is part of its state.
      await vmm.qmp.call('cont');
      phases.end('run');
    }
    const running: MachineRecord = { ...record, state: 'running' };
    await writeMachineRecord(directory, running);
    phases.end('record');
    phases.log(context.log, { machine: spec.id, origin: record.origin });
    return new QemuMachine(context, { directory, record: running, process: vmm.process, qmp: vmm.qmp });
  } catch (error) {
    const told = await withVmmWords(error, directory);
    await scrap(context, directory);
    throw told;
  }
}

/** The same from a parked clone, which is used up whatever happens. */
export async function startFromPool(
  context: QemuContext,
  clone: ParkedClone,
  options: Omit<StartMachineOptions, 'template'>,
): Promise<QemuMachine> {
  const { spec } = options;
  const phases = new Phases(context.clock);
  const { uid, cgroups: former } = clone.record;
  const asked = recordOf(context, options);
  const moves = spec.cgroupParent !== undefined;
  // Both, until the move is done and for whoever finds the machine after a crash: those that are gone do no harm.
  const cgroups = moves ? [...asked.cgroups, ...former] : former;
  const record: MachineRecord = { ...asked, origin: 'template', state: 'running', uid, cgroups };
  try {
    if (moves) await writeMachineRecord(clone.directory, record);
    if (moves) await context.cgroups.create(asked.cgroups);
    await Promise.all([
      limit(context, record, spec),
      moves && context.cgroups.move(clone.process.pid, { from: former, to: asked.cgroups }),
    ]);
    await adoptClone(clone, { spec, record, phases });
    if (moves) await context.cgroups.remove(former, context);
    phases.log(context.log, { machine: spec.id, origin: 'pool' });
    return new QemuMachine(context, { directory: spec.directory, record, process: clone.process, qmp: clone.qmp });
  } catch (error) {
    clone.qmp.close();
    await clone.launcher.kill();
    await scrap(context, clone.directory);
    await scrap(context, spec.directory);
    throw error;
  }
}

/** A clone's driver is bound to a tap already, so a clone without a network has one that leads nowhere. */
function nicOf(nic: NicAttachment | undefined, template: Template | undefined): StartOptions['nic'] {
  if (nic) return { tap: { name: nic.tapName, netnsPath: nic.netnsPath }, mac: nic.mac };
  return template && { tap: 'spare', mac: placeholderMac };
}

function recordOf(context: QemuContext, { spec, template, cpuGraceMs }: StartMachineOptions): MachineRecord {
  return {
    format: 1,
    id: spec.id,
    shape: spec.shape,
    origin: template ? 'template' : 'cold',
    state: 'starting',
    uid: uidFor(spec.id),
    cgroups: context.cgroups.paths(spec.id, spec.cgroupParent),
    ...(spec.cgroupParent?.isOwn ? { ownsCgroupParent: true } : {}),
    slots: spec.disks.map((disk) => disk.slot),
    ...(spec.shares?.length ? { shares: spec.shares.map(({ tag, directory }) => ({ tag, directory })) } : {}),
    cpuLimit: {
      millicores: spec.cpuLimitMillicores ?? spec.shape.vcpus * 1000,
      fromMs: context.clock.now() + cpuGraceMs,
    },
  };
}

/** The CPU ceiling comes later (QemuMachine.settle): starting needs more CPU than running. */
async function limit(context: QemuContext, record: MachineRecord, spec: MachineSpec): Promise<void> {
  const { cgroups, profile } = context;
  const servers = (spec.shares?.length ?? 0) * shareServerMib;
  const memoryMib =
    spec.shape.memoryMib + profile.overheadMib(spec.shape.memoryMib) + servers + (await tmpfsMib(spec.disks));
  if (spec.cgroupParent !== undefined) await warnOfParent(context, record);
  await Promise.all([
    cgroups.setWeight(record.cgroups, record.cpuLimit.millicores),
    cgroups.setMemoryLimit(record.cgroups, memoryMib * 1024 * 1024),
    cgroups.setPidsLimit(record.cgroups, maxThreads),
  ]);
}

/** Its maker counted the Pod's containers and not the machine: kubelet does where no RuntimeClass tells it of an overhead. */
async function warnOfParent(
  { cgroups, log }: QemuContext,
  { id, shape, cgroups: paths }: MachineRecord,
): Promise<void> {
  const parentBytes = await cgroups.memoryAbove(paths);
  const guestBytes = shape.memoryMib * 1024 * 1024;
  if (parentBytes !== undefined && parentBytes < guestBytes)
    log.warn(
      { machine: id, parentBytes, guestBytes },
      "the machine's guest may use more memory than its cgroup parent has, and would be killed; a RuntimeClass's overhead.podFixed is what the parent is made larger by",
    );
}

/** What the server of a share may need; pages of files beyond that are reclaimed. */
const shareServerMib = 64;
/** As the launcher's own limit (identity.rs): vCPUs, the main loop and disk workers; and the servers of shares. */
const maxThreads = 512;

const tmpfsMagic = 0x01021994;

/** Writable disks on tmpfs are memory that the VMM's cgroup is charged for. */
async function tmpfsMib(disks: readonly DiskAttachment[]): Promise<number> {
  const sizes = disks.map(async ({ path, readOnly }) => {
    if (readOnly || (await statfs(path)).type !== tmpfsMagic) return 0;
    return Math.ceil((await stat(path)).size / (1024 * 1024));
  });
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}
