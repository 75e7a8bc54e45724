/** Why a validation program does not pass over us where it does over crun. The page is not written while one is missing. */

const hooks = 'hooks of the host are refused by name: the namespaces they work on are inside the machine';
const cgroups =
  "looks into cgroups of the host; the container's are inside the machine, and its own view of them is what it was given";
const namespaces = 'asks for namespaces of the host or a user namespace, which are refused by name';

export const reasons: Record<string, string> = {
  delete_resources: cgroups,
  hooks_stdin: hooks,
  prestart: hooks,
  prestart_fail: hooks,
  poststart: hooks,
  poststart_fail: hooks,
  poststop: hooks,
  poststop_fail: hooks,
  linux_cgroups_blkio: cgroups,
  linux_cgroups_cpus: cgroups,
  linux_cgroups_devices: cgroups,
  linux_cgroups_hugetlb: cgroups,
  linux_cgroups_memory: cgroups,
  linux_cgroups_network: cgroups,
  linux_cgroups_pids: cgroups,
  linux_cgroups_relative_blkio: cgroups,
  linux_cgroups_relative_cpus: cgroups,
  linux_cgroups_relative_devices: cgroups,
  linux_cgroups_relative_hugetlb: cgroups,
  linux_cgroups_relative_memory: cgroups,
  linux_cgroups_relative_network: cgroups,
  linux_cgroups_relative_pids: cgroups,
  linux_ns_itype: namespaces,
  linux_ns_nopath: namespaces,
  linux_ns_path: namespaces,
  linux_ns_path_type: namespaces,
  linux_uid_mappings: namespaces,
  linux_devices: 'devices of the host are not passed into a machine; refused by name',
  linux_rootfs_propagation:
    'mounts made inside a machine cannot appear on the host; shared propagation is refused by name',
  killsig:
    'sends the signal before the shell in an emulated machine has set its trap: some pass, by how busy the host is',
  mounts: 'a mount with shared propagation, which a machine cannot keep, is refused by name',
  linux_mount_label: 'the guest has no SELinux; refused by name',
  linux_process_apparmor_profile: 'the guest has no AppArmor; refused by name',
};
