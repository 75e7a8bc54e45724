/** The mounts every container has, before the agent adds its volumes. Pure; the guest's places come from the agent seam. */
import { guestPaths } from '../agent/agent.ts';

export interface OciMount {
  destination: string;
  type: string;
  source: string;
  options: string[];
}

/** `taken` are the containerPaths of volumes: a volume at /etc/hosts or /dev/shm stands instead of ours. */
export function standardMounts(options: {
  privileged: boolean;
  taken: Set<string>;
  readOnlyRootfs: boolean;
}): OciMount[] {
  const { privileged, taken } = options;
  const kernel = ['nosuid', 'noexec', 'nodev'];
  const access = privileged ? 'rw' : 'ro';
  const bind = (destination: string, source: string, ...more: string[]): OciMount => {
    return { destination, type: 'bind', source, options: ['rbind', 'rprivate', ...more] };
  };
  const files = options.readOnlyRootfs ? 'ro' : 'rw';
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: kernel },
    // A privileged container sees every device of its machine, as they come and go.
    privileged
      ? bind('/dev', '/dev')
      : {
          destination: '/dev',
          type: 'tmpfs',
          source: 'tmpfs',
          options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
        },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    // The machine's own /dev has it mounted, and it is the same one.
    ...(privileged ? [] : [{ destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: kernel }]),
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...kernel, access] },
    { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: [...kernel, 'relatime', access] },
    bind('/dev/shm', guestPaths.shm, 'rw'),
    bind('/etc/hosts', guestPaths.hosts, files),
    bind('/etc/hostname', guestPaths.hostname, files),
    bind('/etc/resolv.conf', guestPaths.resolvConf, files),
  ].filter((mount) => !taken.has(mount.destination));
}
