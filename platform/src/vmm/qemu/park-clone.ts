/** Starts a clone that nobody has asked for yet, lets it rehearse, and parks it: stopped, without disks, its tap tied to nothing. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';
import { channelName } from '../check-spec.ts';
import type { DiskAttachment, MachineShape, Rehearsal } from '../vmm.ts';
import { takeDisk } from './disk-slots.ts';
import { type MachineRecord, writeMachineRecord } from './machine-record.ts';
import { placeholderMac } from './qemu-arguments.ts';
import { type QemuContext, uidFor } from './qemu-context.ts';
import { readTemplateState, type StartedVmm, scrap, startVmm, whileMaking } from './start-vmm.ts';
import type { Template } from './templates.ts';

/** A clone rehearses in about a second without KVM; on a busy host in many. */
const rehearsalTimeoutMs = 60_000;

/** Of the CPU, it gets what nobody else wants. */
const idleMillicores = 1;

export interface ParkedClone extends StartedVmm {
  directory: string;
  record: MachineRecord;
  templateKey: string;
}

export interface StartCloneOptions {
  name: string;
  directory: string;
  shape: MachineShape;
  template: Template;
  /** Absent: parked as it is. */
  rehearsal?: Rehearsal;
  /** For the rehearsal. */
  disks: DiskAttachment[];
  signal: AbortSignal;
}

/** On error, and when it is aborted, nothing is left of the clone. */
export function startClone(context: QemuContext, options: StartCloneOptions): Promise<ParkedClone> {
  return whileMaking(options.signal, (signal) => start(context, { ...options, signal }));
}

async function start(context: QemuContext, options: StartCloneOptions): Promise<ParkedClone> {
  const { directory, shape, template, disks, signal } = options;
  const record = recordOf(context, options);
  await mkdir(directory, { mode: 0o700 });
  let vmm: StartedVmm | undefined;
  try {
    await writeMachineRecord(directory, record);
    await context.cgroups.create(record.cgroups);
    await context.cgroups.setWeight(record.cgroups, idleMillicores);
    vmm = await startVmm(context, {
      mode: 'hold',
      start: 'clone',
      directory,
      uid: record.uid,
      cgroups: record.cgroups,
      shape,
      disks,
      nic: { tap: 'spare', mac: placeholderMac },
      template,
      signal,
    });
    await readTemplateState(vmm.qmp);
    if (options.rehearsal) await rehearse(context, options.rehearsal, vmm, options);
    await vmm.launcher.command('park');
    return { ...vmm, directory, record, templateKey: template.key };
  } catch (error) {
    vmm?.qmp.close();
    await vmm?.launcher.kill();
    await scrap(context, directory);
    throw error;
  }
}

function recordOf({ cgroups }: QemuContext, { name, shape }: StartCloneOptions): MachineRecord {
  return {
    format: 1,
    id: name,
    shape,
    origin: 'template',
    state: 'starting',
    uid: uidFor(name),
    cgroups: cgroups.paths(name),
    slots: [],
    cpuLimit: { millicores: shape.vcpus * 1000, fromMs: 0 },
  };
}

async function rehearse(
  { clock }: QemuContext,
  rehearsal: Rehearsal,
  vmm: StartedVmm,
  { directory, disks, signal }: StartCloneOptions,
): Promise<void> {
  await vmm.qmp.call('cont');
  const stop = new AbortController();
  const either = AbortSignal.any([stop.signal, signal]);
  const timeout = clock.sleep(rehearsalTimeoutMs, either).then(() => {
    throw new SampanError('Timeout', `a clone had not rehearsed after ${rehearsalTimeoutMs} ms`);
  });
  timeout.catch(() => {});
  try {
    await Promise.race([rehearsal.run(join(directory, channelName), either), timeout]);
  } finally {
    stop.abort();
  }
  await vmm.qmp.call('stop');
  for (const disk of disks) await takeDisk(vmm.qmp, disk);
}
