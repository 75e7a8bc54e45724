/** Turns a parked clone into the machine that was asked for: network and disks are swapped in, then it runs. */
import { mkdir, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { MachineSpec } from '../vmm.ts';
import { putDisk, sendDisk } from './disk-slots.ts';
import { type MachineRecord, writeMachineRecord } from './machine-record.ts';
import type { ParkedClone } from './park-clone.ts';
import type { Phases } from './phases.ts';

export interface AdoptOptions {
  spec: MachineSpec;
  record: MachineRecord;
  phases: Phases;
}

/**
 * Moves the clone's directory to the machine's, which must not exist or be empty. On error the caller scraps both.
 * Until the last step the clone dies with its launcher, and so with the server: a half-made machine is never left running.
 */
export async function adoptClone(clone: ParkedClone, { spec, record, phases }: AdoptOptions): Promise<void> {
  const { launcher, qmp } = clone;
  await Promise.all([
    // The network first: awake with its tap tied to nothing, QEMU would spin.
    launcher.command('tap', spec.nic!.tapName),
    launcher.command('wake'),
    ...spec.disks.map((disk) => sendDisk(launcher, disk)),
    moveDirectory(clone, spec.directory, record),
  ]);
  phases.end('descriptors');
  await Promise.all(spec.disks.map((disk) => putDisk(qmp, disk)));
  phases.end('disks');
  await qmp.call('cont');
  await launcher.command('release');
  launcher.detach();
  phases.end('run');
}

async function moveDirectory(clone: ParkedClone, target: string, record: MachineRecord): Promise<void> {
  await writeMachineRecord(clone.directory, record);
  await mkdir(dirname(target), { recursive: true });
  await rename(clone.directory, target);
}
