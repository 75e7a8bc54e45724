/**
 * Seccomp profiles in runtime-spec form. Pure.
 *
 * RuntimeDefault takes away what a container without extra capabilities has no use for and what has been the way into kernels. It is a list of
 * refusals, not of permissions: the guest's kernel is one we chose, so its system calls are known, the VM is the wall behind it, and a
 * short filter is quick to load (crun compiles it in every start).
 */
import { SampanError } from '@sampan/api/errors.ts';
import * as cri from '../generated/cri.ts';
import { containerCapabilities } from './capabilities.ts';
import { parseSeccompProfile } from './seccomp-profile.ts';

const EPERM = 1;
const ENOSYS = 38;

/** Refused to everyone: obsolete calls and kernel interfaces that no container needs. */
const never = [
  'kexec_load', 'kexec_file_load', 'swapon', 'swapoff', 'uselib', 'ustat', 'sysfs', 'userfaultfd', 'nfsservctl', 'bdflush', 'vm86', 'vm86old',
  'modify_ldt', 'add_key', 'request_key', 'keyctl', 'move_pages', 'migrate_pages', 'create_module', 'get_kernel_syms', 'query_module',
  'io_uring_setup', 'io_uring_enter', 'io_uring_register', 'vmsplice', '_sysctl', 'pivot_root',
]; // biome-ignore format: a table

/** Refused to a container that lacks the capability, also where a user namespace would lend it. */
const byCapability: Record<string, string[]> = {
  SYS_ADMIN: [
    'mount', 'umount', 'umount2', 'mount_setattr', 'move_mount', 'open_tree', 'fsopen', 'fsmount', 'fspick', 'fsconfig', 'setns', 'unshare',
    'sethostname', 'setdomainname', 'quotactl', 'quotactl_fd', 'fanotify_init', 'lookup_dcookie', 'name_to_handle_at',
  ],
  SYS_BOOT: ['reboot'],
  SYS_MODULE: ['init_module', 'finit_module', 'delete_module'],
  SYS_PACCT: ['acct'],
  SYS_RAWIO: ['iopl', 'ioperm'],
  SYS_TIME: ['settimeofday', 'stime', 'clock_settime', 'clock_settime64'],
  SYS_TTY_CONFIG: ['vhangup'],
  SYS_PTRACE: ['kcmp', 'process_madvise', 'pidfd_getfd'],
  DAC_READ_SEARCH: ['open_by_handle_at'],
  SYSLOG: ['syslog'],
  BPF: ['bpf'],
  PERFMON: ['perf_event_open'],
}; // biome-ignore format: a table

/** CLONE_NEW* flags, clone(2). */
const namespaceFlags = [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000];
/** AF_ALG and AF_VSOCK: kernel crypto, and the way to the host. */
const refusedSockets = [38, 40];

const architectures: Record<string, string[]> = {
  x64: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
  arm64: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
};

/** The kernel that containers run on. */
export interface SeccompPlace {
  /** process.arch. */
  architecture: string;
  /** Major and minor: at least that. A guest's kernel is of the host's distribution, and the oldest of these has 5.15. */
  kernel?: readonly [number, number];
}

/** Undefined: unconfined. `localhost` is the text of a Localhost profile (seccomp-file.ts). Throws Invalid, Unsupported. */
export function seccompFor(
  security: cri.LinuxContainerSecurityContext | undefined,
  { architecture, kernel = [5, 15] }: SeccompPlace,
  localhost?: string,
): object | undefined {
  const { Unconfined, Localhost, RuntimeDefault } = cri.SecurityProfile_ProfileType;
  const profile = security?.seccomp;
  // A privileged container runs unconfined, whatever it says (Kubernetes' documentation of seccomp).
  if (!profile || profile.profileType === Unconfined || security?.privileged) return undefined;
  const capabilities = new Set(containerCapabilities(security).bounding);
  if (profile.profileType === Localhost)
    return parseSeccompProfile(localhost ?? '', profile.localhostRef ?? '', { capabilities, architecture, kernel });
  if ((profile.profileType ?? RuntimeDefault) !== RuntimeDefault)
    throw new SampanError('Invalid', `seccomp profile type ${profile.profileType} is not one of CRI's`);
  return defaultProfile(capabilities, architecture);
}

function defaultProfile(held: Set<string>, architecture: string): object {
  const lacks = (capability: string) => !held.has(`CAP_${capability}`);
  const refused = Object.entries(byCapability).flatMap(([capability, names]) => (lacks(capability) ? names : []));
  const refuse = (names: string[], rest: object = {}) => ({
    names,
    action: 'SCMP_ACT_ERRNO',
    errnoRet: EPERM,
    ...rest,
  });
  const equals = (value: number) => ({ args: [{ index: 0, value, op: 'SCMP_CMP_EQ' }] });
  const hasFlag = (flag: number) => ({ args: [{ index: 0, value: flag, valueTwo: flag, op: 'SCMP_CMP_MASKED_EQ' }] });
  const syscalls = [
    refuse([...never, ...refused]),
    ...refusedSockets.map((family) => refuse(['socket'], equals(family))),
  ];
  if (lacks('SYS_ADMIN')) {
    syscalls.push(...namespaceFlags.map((flag) => refuse(['clone'], hasFlag(flag))));
    // clone3 passes its flags in memory, where a filter cannot look: "no such call" makes the C library fall back to clone.
    syscalls.push({ names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS });
  }
  return { defaultAction: 'SCMP_ACT_ALLOW', architectures: architectures[architecture] ?? [], syscalls };
}
