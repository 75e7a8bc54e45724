/** Devices of a container. The host's are never passed; a few of the guest's own may be asked for by their usual name. Pure. */
import { SampanError } from '@sampan/api/errors.ts';
import type * as cri from '../generated/cri.ts';
import { unsupported } from './refuse.ts';

export interface OciDevice {
  path: string;
  type: 'c' | 'b';
  major: number;
  minor: number;
  fileMode: number;
}

/** Character devices that any Linux guest has (kernel's admin-guide/devices.txt). */
const guestDevices: Record<string, [major: number, minor: number]> = {
  '/dev/fuse': [10, 229],
  '/dev/net/tun': [10, 200],
};

/** Devices to make, and the rules that allow them. Throws Unsupported naming a device of the host. */
export function containerDevices(config: cri.ContainerConfig): { devices: OciDevice[]; rules: object[] } {
  if (config.linux?.securityContext?.privileged) return { devices: [], rules: [{ allow: true, access: 'rwm' }] };
  const devices: OciDevice[] = [];
  const rules: object[] = [{ allow: false, access: 'rwm' }];
  for (const device of config.devices ?? []) {
    const known = guestDevices[device.hostPath ?? ''];
    if (!known)
      throw unsupported(
        `device ${device.hostPath}`,
        `devices of the host are not passed to a VM; its own that can be asked for: ${Object.keys(guestDevices).join(', ')}`,
      );
    const access = device.permissions || 'rwm';
    if (!/^[rwm]{1,3}$/.test(access))
      throw new SampanError('Invalid', `device ${device.hostPath}: permissions "${access}"`);
    const [major, minor] = known;
    devices.push({ path: device.containerPath || device.hostPath!, type: 'c', major, minor, fileMode: 0o666 });
    rules.push({ allow: true, type: 'c', major, minor, access });
  }
  return { devices, rules };
}
