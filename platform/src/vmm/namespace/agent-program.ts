/** The agent's command line on the host (guest/agent/src/host): starting a machine, handing it a file. */

import { join } from 'node:path';
import { isReason, SampanError } from '@sampan/api/errors.ts';
import type { LineChild } from '../../base/line-child.ts';
import type { DiskAttachment, MachineSpec, ShareMount } from '../vmm.ts';
import { type ProcessId, readProcessFile } from '../vmm-process.ts';

export interface StartOptions {
  spec: MachineSpec;
  rootfsPath: string;
  cgroups: readonly string[];
  /** What these are called in hierarchies that the machine is to see whole. */
  group?: string | undefined;
}

/** Pure. */
export function machineArguments({ spec, rootfsPath, cgroups, group }: StartOptions): string[] {
  const { network = 'own', pid = 'own', ipc = 'own' } = spec.namespaces ?? {};
  const named = (option: string, name: string, readOnly: boolean, path: string) => [
    option,
    `${name}:${readOnly ? 'r' : 'rw'}:${path}`,
  ];
  return [
    'machine',
    ...['--directory', spec.directory, '--rootfs', rootfsPath],
    ...['--network', network, '--pid', pid, '--ipc', ipc],
    ...cgroups.flatMap((path) => ['--cgroup', path]),
    ...(group ? ['--group', group] : []),
    ...spec.disks.flatMap(({ slot, readOnly, path }) => named('--disk', slot, readOnly, path)),
    ...(spec.shares ?? []).flatMap(({ tag, readOnly, directory }) => named('--share', tag, readOnly, directory)),
  ];
}

/**
 * Throws FailedPrecondition or ResourceExhausted (what the host lacks) or InternalError, with the agent's words. Not by a program started from here:
 * while Node forks, which takes it more than ten milliseconds, it does nothing else.
 */
export async function startMachineProcess(starts: LineChild, options: StartOptions): Promise<ProcessId> {
  await said(starts.ask(...machineArguments(options)));
  const id = await readProcessFile(options.spec.directory, 'pid');
  if (!id)
    throw new SampanError('InternalError', `the agent made ${options.spec.directory} without naming its process`);
  return id;
}

/** The socket in a machine's directory that takes what it is given. */
export const giftsName = 'gifts';

/** All disks and shares of a spec, to a machine that was started without. */
export async function giveAll(gives: LineChild, directory: string, { disks, shares = [] }: MachineSpec): Promise<void> {
  const socket = join(directory, giftsName);
  const access = (readOnly: boolean) => (readOnly ? 'r' : 'rw');
  await Promise.all([
    ...disks.map(({ slot, readOnly, path }) => gives.ask('give', socket, 'disk', slot, access(readOnly), path)),
    ...shares.map((one) => gives.ask('give', socket, 'share', one.tag, access(one.readOnly), one.directory)),
  ]);
}

export function giveDisk(gives: LineChild, socketPath: string, disk: DiskAttachment): Promise<void> {
  return said(gives.ask('give', socketPath, 'disk', disk.slot, disk.readOnly ? 'r' : 'rw', disk.path));
}

/** A part of the host's tree into a share, where the driver has made a place for it. */
export function giveShareMount(gives: LineChild, socketPath: string, mount: ShareMount): Promise<void> {
  const { propagation, tag, name, readOnly, recursive, hostPath } = mount;
  const access = !readOnly ? 'rw' : recursive ? 'rr' : 'r';
  return said(gives.ask('give', socketPath, propagation, `${tag}/${name}`, access, hostPath));
}

/** The agent's complaint is `REASON: WORDS`. */
async function said<T>(running: Promise<T>): Promise<T> {
  try {
    return await running;
  } catch (error) {
    if (!isReason(error, 'InternalError')) throw error;
    const told = /: (FailedPrecondition|ResourceExhausted|InternalError|NotFound|BadRequest): ([\s\S]*)$/.exec(
      error.message,
    );
    if (!told) throw error;
    const reason = told[1] === 'FailedPrecondition' || told[1] === 'ResourceExhausted' ? told[1] : 'InternalError';
    throw new SampanError(reason, `the machine could not be started on this host: ${told[2]}`, {}, { cause: error });
  }
}
