/** Which control groups the host has: what bounds machines, and whether containers on the host can have their own. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Finding } from './finding.ts';

export async function checkCgroups(): Promise<Finding> {
  const mounts = await readFile('/proc/mounts', 'utf8');
  const unified = /^cgroup2? (\S+) cgroup2 /m.exec(mounts)?.[1];
  const controllers = unified ? await readFile(join(unified, 'cgroup.controllers'), 'utf8').catch(() => '') : '';
  return { check: 'cgroups', ...describeCgroups(mounts, controllers) };
}

const wanted = ['cpu', 'memory'];

/** `mounts` is proc(5) /proc/mounts, `controllers` the cgroup.controllers of version 2's root. Pure. */
export function describeCgroups(mounts: string, controllers: string): Omit<Finding, 'check'> {
  const options = [...mounts.matchAll(/^\S+ \S+ cgroup (\S+) /gm)].flatMap((match) => match[1]!.split(','));
  const old = wanted.filter((name) => options.includes(name));
  const unified = wanted.filter((name) => controllers.split(/\s+/).includes(name));
  const missing = wanted.filter((name) => !old.includes(name) && !unified.includes(name));
  const isHybrid = /^\S+ \S+ cgroup /m.test(mounts);
  if (missing.length > 0)
    return {
      state: 'warn',
      found: `no cgroup hierarchy with ${missing.join(' and ')}: nothing bounds what a machine takes of it, and the RuntimeClass "namespace" ${missing.includes('memory') ? 'is not offered' : 'bounds no CPU'}`,
      mend: missing.includes('memory')
        ? 'boot with cgroup_enable=memory, or mount the cgroup v2 hierarchy at /sys/fs/cgroup'
        : 'mount the cgroup v2 hierarchy at /sys/fs/cgroup',
    };
  if (!isHybrid) return { state: 'ok', found: 'cgroup v2 with cpu and memory' };
  if (unified.length === 0) return { state: 'ok', found: 'cgroup v1 with cpu and memory' };
  return {
    state: 'warn',
    found: `controllers are split: cgroup v1 has ${old.join(' and ') || 'neither cpu nor memory'}, cgroup v2 beside it ${unified.join(' and ')}; virtual machines are bounded in both, ${unified.includes('memory') ? 'the RuntimeClass "namespace" is not offered' : 'containers of the RuntimeClass "namespace" have no CPU limits'}`,
    mend: 'boot with all of them in one: without cgroup_no_v1=, or with systemd.unified_cgroup_hierarchy=1',
  };
}
