/** Why a validation program does not pass over us where it does over crun, by handler. The page is not written while one is missing. */

export interface Reason {
  vm?: string;
  host?: string;
}

const both = (words: string): Reason => ({ vm: words, host: words });

const limited: Reason = {
  vm: "the container's limits are in a group of its own, inside the machine; the group on the host that `cgroupsPath` names holds the whole machine and has none",
};
const toldAtStart =
  'the host where this was tried has no such limits: crun says so at create, and with us at start, which the program does not wait for';
const cpuNumbers: Reason = { vm: 'CPUs of the host are asked for by number, which is refused by name' };
const namespaces = both(
  'asks for namespaces of strangers by path, for a user namespace, or (in a VM) for those of the host, which are refused by name',
);
const noSelinux = both('SELinux labels are not set; refused by name');

export const reasons: Record<string, Reason> = {
  delete_resources: limited,
  hooks: both("looks for words that the program's own hooks do not write"),
  hooks_stdin: both(
    'wants of prestart the status `created`, as before runtime-spec 1.0.2, and of each the pid that `state` tells of a container that has ended by then',
  ),
  prestart: both('wants prestart at the start, as before runtime-spec 1.0.2; it is part of create'),
  poststart: {
    vm: 'the process runs when the hook does, but its shell in an emulated machine writes later than the one on the host',
    host: 'the process runs when the hook does; which of the two shells writes first is chance',
  },
  linux_cgroups_blkio: { vm: 'weights and rates of disks are refused by name', host: toldAtStart },
  linux_cgroups_cpus: cpuNumbers,
  linux_cgroups_devices: limited,
  linux_cgroups_memory: limited,
  linux_cgroups_network: { vm: 'classes and priorities of the host are refused by name', host: toldAtStart },
  linux_cgroups_pids: limited,
  linux_cgroups_relative_cpus: cpuNumbers,
  linux_cgroups_relative_devices: limited,
  linux_cgroups_relative_memory: limited,
  linux_cgroups_relative_pids: limited,
  linux_ns_itype: namespaces,
  linux_ns_nopath: namespaces,
  linux_ns_path: namespaces,
  linux_uid_mappings: namespaces,
  linux_devices: { vm: 'devices of the host are not passed into a machine; refused by name' },
  linux_rootfs_propagation: both('mounts of the container do not appear on the host'),
  killsig: {
    vm: 'sends the signal before the shell in an emulated machine has set its trap: some pass, by how busy the host is',
  },
  mounts: {
    vm: "a guest's table of mounts names the place in the machine's share, not the directory of the host that is there",
  },
  linux_mount_label: noSelinux,
  linux_process_apparmor_profile: both('AppArmor profiles are not set; refused by name'),
  process_capabilities: {
    host: 'CAP_SYS_RESOURCE is not to be had on the host where this was tried, and not given on',
  },
};
