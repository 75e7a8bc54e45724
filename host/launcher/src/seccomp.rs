//! System calls a VMM has no use for, refused by the kernel from the moment it starts (seccomp(2)); QEMU narrows this further by itself
//! (-sandbox). A list of what is refused, not of what is allowed: another QEMU may use another call, and what is on this list are the ways out.

use crate::sys::check;

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// Of namespaces, mounts, other processes, kernel objects, sockets (those it needs are open), keys, modules, clocks.
const REFUSED: &[libc::c_long] = &[
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mknodat,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_socket,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    // By number where the crate is older than the call; these are the same on every architecture.
    425, // io_uring_setup
    426, // io_uring_enter
    427, // io_uring_register
    428, // open_tree
    429, // move_mount
    430, // fsopen
    431, // fsconfig
    432, // fsmount
    433, // fspick
    438, // pidfd_getfd
    440, // process_madvise
    442, // mount_setattr
];

#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[libc::c_long] = &[libc::SYS_mknod, libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[libc::c_long] = &[];

/// clone3 hides its flags from a filter: "no such call" makes every C library take clone.
const CLONE3: u32 = 435;
const NEW_NAMESPACES: u32 = 0x7e02_0080;

// linux/filter.h, linux/seccomp.h
const LOAD: u16 = 0x20;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_AT_LEAST: u16 = 0x35;
const JUMP_ANY_BIT: u16 = 0x45;
const ANSWER: u16 = 0x06;
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
/// Low half of the first argument, little-endian.
const FIRST_ARGUMENT: u32 = 16;
const ALLOW: u32 = 0x7fff_0000;
const KILL: u32 = 0x8000_0000;
const ERROR: u32 = 0x0005_0000;
/// Calls of the x32 ABI have this bit set.
const OTHER_ABI: u32 = 0x4000_0000;

const fn step(code: u16, yes: u8, no: u8, value: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt: yes, jf: no, k: value }
}

const fn error(code: libc::c_int) -> libc::sock_filter {
    step(ANSWER, 0, 0, ERROR | code as u32)
}

fn program() -> Vec<libc::sock_filter> {
    let mut steps = vec![
        step(LOAD, 0, 0, ARCH),
        step(JUMP_EQUAL, 1, 0, ARCHITECTURE),
        step(ANSWER, 0, 0, KILL),
        step(LOAD, 0, 0, NUMBER),
        step(JUMP_AT_LEAST, 0, 1, OTHER_ABI),
        error(libc::EPERM),
        step(JUMP_EQUAL, 0, 1, CLONE3),
        error(libc::ENOSYS),
    ];
    for &number in REFUSED.iter().chain(REFUSED_HERE) {
        steps.push(step(JUMP_EQUAL, 0, 1, number as u32));
        steps.push(error(libc::EPERM));
    }
    steps.extend([
        step(JUMP_EQUAL, 0, 3, libc::SYS_clone as u32),
        step(LOAD, 0, 0, FIRST_ARGUMENT),
        step(JUMP_ANY_BIT, 0, 1, NEW_NAMESPACES),
        error(libc::EPERM),
        step(ANSWER, 0, 0, ALLOW),
    ]);
    steps
}

/// For this process and all that come of it, for good. Wants no_new_privs.
pub fn refuse_ways_out() -> Result<(), String> {
    let mut steps = program();
    let filter = libc::sock_fprog { len: steps.len() as libc::c_ushort, filter: steps.as_mut_ptr() };
    let mode = libc::SECCOMP_MODE_FILTER as libc::c_ulong;
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &filter as *const libc::sock_fprog, 0, 0) };
    check(result, "install the filter of system calls").map(|_| ())
}
