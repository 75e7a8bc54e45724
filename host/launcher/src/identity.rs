//! Gives up root for good, in the child, right before exec.

use crate::sys::check;

/// Most threads a VMM may have: vCPUs, its main loop and up to 64 disk workers.
const MAX_THREADS: u64 = 256;
const MAX_FILES: u64 = 1024;

/// Limits are only ever lowered, so that this also works where raising is forbidden (no CAP_SYS_RESOURCE).
pub fn lower_limits() -> Result<(), String> {
    lower(libc::RLIMIT_CORE, 0)?;
    lower(libc::RLIMIT_NOFILE, MAX_FILES)?;
    // Nothing it has may be kept from being reclaimed, nor lie in the kernel's queues.
    lower(libc::RLIMIT_MEMLOCK, 0)?;
    lower(libc::RLIMIT_MSGQUEUE, 0)?;
    lower(libc::RLIMIT_NPROC, MAX_THREADS)
}

fn lower(resource: libc::__rlimit_resource_t, value: u64) -> Result<(), String> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    check(unsafe { libc::getrlimit(resource, &mut limit) }, "getrlimit")?;
    limit.rlim_max = limit.rlim_max.min(value);
    limit.rlim_cur = limit.rlim_max;
    check(unsafe { libc::setrlimit(resource, &limit) }, "setrlimit").map(|_| ())
}

/// No groups, no capabilities, no way back: also a set-uid program would not bring them back.
pub fn drop_powers(uid: u32) -> Result<(), String> {
    for capability in 0..64 {
        let result = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        if result != 0 {
            // The first number this kernel does not know ends the list.
            break;
        }
    }
    unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    check(unsafe { libc::setgroups(0, std::ptr::null()) }, "setgroups")?;
    check(unsafe { libc::setresgid(uid, uid, uid) }, "setresgid")?;
    check(unsafe { libc::setresuid(uid, uid, uid) }, "setresuid")?;
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, "no_new_privs")?;
    if unsafe { libc::setresuid(0, 0, 0) } == 0 {
        return Err("root could be taken back after it was given up".into());
    }
    Ok(())
}
