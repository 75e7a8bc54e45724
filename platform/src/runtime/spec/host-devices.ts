/** What the host has under the paths of a container's devices: device nodes, and those below a directory. */
import type { Stats } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { SampanError } from '@sampan/api/errors.ts';
import type * as cri from '../generated/cri.ts';
import { accessOf, type HostDevice } from './devices.ts';

const maxDevices = 1000;
/** Below /dev these are mounts of the container's own. */
const notDevices = new Set(['pts', 'shm', 'fd', 'mqueue']);

/** Throws Invalid, NotFound. */
export async function findHostDevices(wanted: readonly cri.Device[]): Promise<HostDevice[]> {
  const found: HostDevice[] = [];
  for (const device of wanted) await collect(found, device, posix.normalize(device.hostPath || '/'), placeOf(device));
  return found;
}

function placeOf(device: cri.Device): string {
  const path = posix.normalize(device.containerPath || device.hostPath || '/');
  if (!path.startsWith('/') || path === '/' || path.length > 4096 || !device.hostPath?.startsWith('/'))
    throw new SampanError('Invalid', `device "${device.hostPath}" at "${path}": both paths must be absolute`);
  return path.replace(/\/$/, '');
}

/** A path that was asked for must lead to a device; what else stands in a directory is left out. */
async function collect(
  found: HostDevice[],
  device: cri.Device,
  hostPath: string,
  place: string,
  depth = 0,
): Promise<void> {
  const status = await stat(hostPath).catch((error: NodeJS.ErrnoException) => {
    if (depth === 0) throw new SampanError('NotFound', `device ${hostPath} is not on this node: ${error.code}`);
  });
  if (!status) return;
  if (status.isDirectory()) {
    if (depth > 4) return;
    for (const name of await readdir(hostPath))
      if (!notDevices.has(name)) await collect(found, device, join(hostPath, name), join(place, name), depth + 1);
    return;
  }
  if (status.isCharacterDevice() || status.isBlockDevice()) {
    if (found.length >= maxDevices) throw new SampanError('Invalid', `devices: more than ${maxDevices}`);
    found.push({ path: place, ...numbersOf(status), access: accessOf(device) });
  } else if (depth === 0) throw new SampanError('Invalid', `device ${hostPath} is no device`);
}

/** makedev(3): glibc's 64 bits. */
function numbersOf({ rdev, mode, uid, gid }: Stats): Omit<HostDevice, 'path' | 'access'> {
  const number = BigInt(rdev);
  const major = Number(((number >> 8n) & 0xfffn) | ((number >> 32n) & ~0xfffn));
  const minor = Number((number & 0xffn) | ((number >> 12n) & ~0xffn & 0xffffffffn));
  return { type: (mode & 0o170000) === 0o060000 ? 'b' : 'c', major, minor, fileMode: mode & 0o777, uid, gid };
}
