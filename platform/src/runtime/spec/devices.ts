/**
 * Devices of a container. On the host's kernel they are the host's; a VM has none of these, but a few of its own may be asked for by their usual
 * name. Pure; looking at the host's is host-devices.ts.
 */
import { SampanError } from '@sampan/api/errors.ts';
import type * as cri from '../generated/cri.ts';
import { unsupported } from './refuse.ts';

export interface OciDevice {
  path: string;
  type: 'c' | 'b';
  major: number;
  minor: number;
  fileMode: number;
  uid?: number;
  gid?: number;
}

/** A device node of the host, where the container wants it. */
export interface HostDevice extends OciDevice {
  /** As CRI says: of r, w and m. */
  access: string;
}

/** Character devices that any Linux guest has (kernel's admin-guide/devices.txt). */
const guestDevices: Record<string, [major: number, minor: number]> = {
  '/dev/fuse': [10, 229],
  '/dev/net/tun': [10, 200],
};

/**
 * Devices to make, and the rules that allow them. `hostDevices`: what was found on the host whose kernel the container runs on; absent: it runs on another.
 * Throws Unsupported naming a device of the host.
 */
export function containerDevices(
  config: cri.ContainerConfig,
  hostDevices?: HostDevice[],
): { devices: OciDevice[]; rules: object[] } {
  if (config.linux?.securityContext?.privileged) return { devices: [], rules: [{ allow: true, access: 'rwm' }] };
  const wanted = hostDevices ?? (config.devices ?? []).map(ofGuest);
  const rules = wanted.map(({ type, major, minor, access }) => ({ allow: true, type, major, minor, access }));
  return { devices: wanted.map(({ access, ...device }) => device), rules: [{ allow: false, access: 'rwm' }, ...rules] };
}

function ofGuest(device: cri.Device): HostDevice {
  const { hostPath = '', containerPath } = device;
  const known = guestDevices[hostPath];
  if (!known)
    throw unsupported(
      `device ${hostPath}`,
      `devices of the host are not passed to a VM; its own that can be asked for: ${Object.keys(guestDevices).join(', ')}`,
    );
  const [major, minor] = known;
  return { path: containerPath || hostPath, type: 'c', major, minor, fileMode: 0o666, access: accessOf(device) };
}

/** Throws Invalid. */
export function accessOf({ hostPath, permissions }: cri.Device): string {
  const access = permissions || 'rwm';
  if (!/^[rwm]{1,3}$/.test(access)) throw new SampanError('Invalid', `device ${hostPath}: permissions "${access}"`);
  return access;
}
