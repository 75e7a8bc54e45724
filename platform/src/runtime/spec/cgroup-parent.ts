/** LinuxPodSandboxConfig.cgroup_parent: the control group beneath which a Pod's processes on the host are counted. Pure. */
import { SampanError } from '@sampan/api/errors.ts';
import type { CgroupParent } from '../../vmm/vmm.ts';
import type * as cri from '../generated/cri.ts';

/** Absolute in the hierarchies; undefined: none is asked for. Throws Invalid, or Unsupported for a slice of systemd's. */
export function cgroupParentOf(linux: cri.LinuxPodSandboxConfig | undefined): CgroupParent | undefined {
  const given = linux?.cgroupParent ?? '';
  const levels = given.split('/').filter(Boolean);
  if (levels.length === 0) return undefined;
  if (given.length > 1024 || levels.some((level) => /^\.{1,2}$/.test(level) || !/^[!-~]{1,255}$/.test(level)))
    throw new SampanError('Invalid', `cgroup_parent "${given.slice(0, 200)}" is no path of a control group`);
  if (levels.at(-1)!.endsWith('.slice'))
    throw new SampanError(
      'Unsupported',
      `cgroup_parent ${given}: this is a slice of systemd's; control groups are named by their paths here (cgroupDriver: cgroupfs, as RuntimeConfig says)`,
    );
  return { path: `/${levels.join('/')}`, isOwn: false };
}
