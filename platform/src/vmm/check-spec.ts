/** Refuses a machine that cannot be, before anything is made for it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';
import { checkDisks } from './slots.ts';
import { type DiskAttachment, type MachineSpec, maxShares, type Share, type ShareMount } from './vmm.ts';

/** File name of the channel's socket in a machine's directory. */
export const channelName = 'agent';

/** sockaddr_un(7): 108 bytes with the terminating NUL. */
const maxSocketPath = 107;

/** Throws Invalid or Unsupported naming what is wrong. */
export function checkSpec(spec: MachineSpec): void {
  const { id, directory, shape, nic } = spec;
  const refuse = (why: string) => {
    throw new SampanError('Invalid', `machine ${id}: ${why}`);
  };
  if (!/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(id)) refuse('the id must be a DNS name');
  if (!directory.startsWith('/') || /[\n\t\0]/.test(directory))
    refuse('the directory must be an absolute path without tab or newline');
  if (Buffer.byteLength(join(directory, channelName)) > maxSocketPath)
    refuse(`the directory ${directory} is too long for the sockets in it (${maxSocketPath} bytes)`);
  if (!Number.isInteger(shape.vcpus) || shape.vcpus < 1 || shape.vcpus > 255)
    refuse(`${shape.vcpus} vCPUs; wanted 1 to 255`);
  if (!Number.isInteger(shape.memoryMib) || shape.memoryMib < 64)
    refuse(`${shape.memoryMib} MiB of memory; wanted at least 64`);
  if (nic && !/^[^\s/:]{1,15}$/.test(nic.tapName)) refuse(`"${nic.tapName}" is no name of a tap device`);
  if (nic?.netnsPath && !/^\/[^\n\t\0]{1,4000}$/.test(nic.netnsPath))
    refuse(`"${nic.netnsPath}" is no path of a network namespace`);
  if (nic && !/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(nic.mac)) refuse(`"${nic.mac}" is no MAC address`);
  for (const path of [spec.cgroupParent?.path, spec.containerCgroup])
    if (path !== undefined && !/^(\/(?!\.{1,2}(\/|$))[!-.0-~]{1,255})+$/.test(path))
      refuse(`"${path}" is no path of a control group`);
  checkDisks(id, spec.disks);
  for (const why of shareFaults(spec.shares ?? [])) refuse(why);
}

function* shareFaults(shares: readonly Share[]): Generator<string> {
  if (shares.length > maxShares) yield `${shares.length} shares; a machine has at most ${maxShares}`;
  for (const [index, { tag, directory }] of shares.entries()) {
    if (!/^[a-z0-9-]{1,32}$/.test(tag)) yield `"${tag}" is no tag of a share`;
    if (shares.findIndex((other) => other.tag === tag) !== index) yield `share ${tag} is given twice`;
    if (!directory.startsWith('/') || /[\n\t\0,]/.test(directory))
      yield `the directory of share ${tag} must be absolute, without comma, tab or newline`;
  }
}

/** For a driver whose machines have a kernel of their own. */
export function refuseNamespaces({ id, namespaces }: MachineSpec): void {
  if (namespaces)
    throw new SampanError(
      'Unsupported',
      `machine ${id}: a virtual machine has no namespaces of the host; wanted ${JSON.stringify(namespaces)}`,
    );
}

/** For a driver that has no shares. */
export function refuseShares({ id, shares }: MachineSpec, driver: string): void {
  if (shares?.length)
    throw new SampanError('Unsupported', `machine ${id}: the ${driver} driver has no shares; wanted ${shares[0]?.tag}`);
}

/** Throws FailedPrecondition when a share's directory is not there. */
export function checkShareDirectories({ id, shares = [] }: MachineSpec): void {
  for (const { tag, directory } of shares)
    if (!existsSync(directory))
      throw new SampanError(
        'FailedPrecondition',
        `machine ${id}: share ${tag} wants ${directory}, which does not exist`,
      );
}

/** Throws FailedPrecondition when a disk's file is not there. */
export function checkDiskFiles(machine: string, disks: readonly DiskAttachment[]): void {
  for (const disk of disks)
    if (!existsSync(disk.path))
      throw new SampanError(
        'FailedPrecondition',
        `machine ${machine}: disk ${disk.slot} wants ${disk.path}, which does not exist`,
      );
}

/** Throws FailedPrecondition when the tap device, or the network namespace it is said to be in, is not there. */
export function checkTap({ id, nic }: MachineSpec): void {
  if (nic?.netnsPath) {
    if (existsSync(nic.netnsPath)) return;
    throw new SampanError('FailedPrecondition', `machine ${id}: there is no network namespace ${nic.netnsPath}`);
  }
  if (nic && !existsSync(`/sys/class/net/${nic.tapName}`))
    throw new SampanError(
      'FailedPrecondition',
      `machine ${id}: there is no tap device ${nic.tapName}; the network makes it first`,
    );
}

/** Throws Invalid naming what is wrong. */
export function checkShareMount(machine: string, { name, hostPath }: ShareMount): void {
  if (!/^[a-z0-9-]{1,64}$/.test(name))
    throw new SampanError('Invalid', `machine ${machine}: "${name}" is no name in a share`);
  if (!hostPath.startsWith('/') || /\0/.test(hostPath))
    throw new SampanError('Invalid', `machine ${machine}: "${hostPath}" is no absolute path`);
}
