//! The child between fork and exec. It may call the kernel and nothing else: the agent has other threads, and what they held when it was forked
//! (the allocator's lock, for one) is held for ever here. For the same reason libc's own setuid is not used, which would wait for those threads.

use std::io;
use std::os::unix::io::{AsRawFd, RawFd};

use libc::c_long;

use super::plan::Plan;
use crate::crun::Stdio3;

/// Every argument is a machine word: the kernel looks at all of it.
macro_rules! call {
    ($number:expr $(, $argument:expr)*) => { libc::syscall($number as c_long $(, $argument as c_long)*) };
}

pub const REPORT_BYTES: usize = 8;

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Step {
    Streams,
    Limits,
    Namespaces,
    Filter,
    Groups,
    Capabilities,
    User,
    Directory,
    /// No such program.
    Find,
    /// It is there, and may not be run.
    Open,
    Execute,
}

const STEPS: [Step; 11] = [
    Step::Streams, Step::Limits, Step::Namespaces, Step::Filter, Step::Groups, Step::Capabilities, Step::User, Step::Directory, Step::Find, Step::Open,
    Step::Execute,
];

/// Descriptors that the child needs besides its streams.
pub struct Ends {
    /// A pidfd of the container's first process.
    pub container: RawFd,
    pub group: RawFd,
    pub report: RawFd,
}

pub fn decode(said: [u8; REPORT_BYTES]) -> (Step, i32) {
    let word = |at: usize| u32::from_ne_bytes([said[at], said[at + 1], said[at + 2], said[at + 3]]);
    let step = STEPS.iter().copied().find(|step| *step as u32 == word(0)).unwrap_or(Step::Execute);
    (step, word(4) as i32)
}

#[repr(C)]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
const CLOSE_RANGE_CLOEXEC: c_long = 4;
const SECCOMP_SET_MODE_FILTER: c_long = 1;
/// LOG and SPEC_ALLOW, as crun where a profile does not say.
const FILTER_FLAGS: c_long = 2 | 4;

/// Forks, into the container's control group at once: moving a process there later takes milliseconds.
pub fn spawn(plan: &Plan, ends: Ends, stdio: &Stdio3) -> io::Result<i32> {
    let arguments = CloneArguments { flags: CLONE_INTO_CGROUP, exit_signal: libc::SIGCHLD as u64, cgroup: ends.group as u64, ..Default::default() };
    // The agent's handlers must not run in the child: they would speak for the agent.
    let all = u64::MAX;
    let mut before = 0u64;
    let mask = |how: libc::c_int, new: &u64, old: *mut u64| unsafe { call!(libc::SYS_rt_sigprocmask, how, new as *const u64, old, 8) };
    mask(libc::SIG_SETMASK, &all, &mut before);
    let pid = unsafe { call!(libc::SYS_clone3, &arguments as *const CloneArguments, std::mem::size_of::<CloneArguments>()) };
    if pid == 0 {
        let (step, error) = unsafe { become_it(plan, &ends, stdio) };
        let mut said = [0u8; REPORT_BYTES];
        said[..4].copy_from_slice(&(step as u32).to_ne_bytes());
        said[4..].copy_from_slice(&error.to_ne_bytes());
        unsafe {
            call!(libc::SYS_write, ends.report, said.as_ptr(), said.len());
            call!(libc::SYS_exit_group, if step == Step::Find { 127 } else { 126 });
        }
        unreachable!("a process that has ended");
    }
    let failed = io::Error::last_os_error();
    mask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
    if pid < 0 {
        return Err(failed);
    }
    Ok(pid as i32)
}

fn last_error() -> i32 {
    unsafe { *libc::__errno_location() }
}

/// Comes back only with what failed.
unsafe fn become_it(plan: &Plan, ends: &Ends, stdio: &Stdio3) -> (Step, i32) {
    match prepare(plan, ends, stdio) {
        Ok(()) => execute(plan),
        Err(failed) => failed,
    }
}

fn must(step: Step, answer: c_long) -> Result<(), (Step, i32)> {
    if answer < 0 {
        Err((step, last_error()))
    } else {
        Ok(())
    }
}

unsafe fn prepare(plan: &Plan, ends: &Ends, stdio: &Stdio3) -> Result<(), (Step, i32)> {
    if let Some(score) = &plan.oom_score {
        // Still in the agent's own /proc.
        let file = call!(libc::SYS_openat, libc::AT_FDCWD, b"/proc/self/oom_score_adj\0".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC, 0);
        must(Step::Limits, file)?;
        must(Step::Limits, call!(libc::SYS_write, file, score.as_ptr(), score.as_bytes().len()))?;
    }
    for (resource, limit) in &plan.limits {
        must(Step::Limits, call!(libc::SYS_prlimit64, 0, *resource, limit as *const libc::rlimit64, 0))?;
    }
    take_streams(plan, stdio)?;
    call!(libc::SYS_setsid);
    must(Step::Namespaces, call!(libc::SYS_setns, ends.container, libc::CLONE_NEWNS | libc::CLONE_NEWCGROUP))?;
    call!(libc::SYS_umask, plan.umask as c_long);
    let directory = plan.directory.as_ptr();
    let entered = call!(libc::SYS_chdir, directory) == 0;
    must(Step::Streams, call!(libc::SYS_close_range, 3, c_long::from(u32::MAX), CLOSE_RANGE_CLOEXEC))?;
    if !plan.no_new_privileges {
        filter(plan)?;
    }
    must(Step::Groups, call!(libc::SYS_setgroups, plan.groups.len(), plan.groups.as_ptr()))?;
    change_user(plan)?;
    if !entered {
        // A directory that only the user may enter.
        must(Step::Directory, call!(libc::SYS_chdir, directory))?;
    }
    if plan.no_new_privileges {
        must(Step::Capabilities, call!(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        filter(plan)?;
    }
    Ok(())
}

/// Pipes belong to whoever writes to them: /dev/stdout can then be opened by a user who is not root.
unsafe fn take_streams(plan: &Plan, stdio: &Stdio3) -> Result<(), (Step, i32)> {
    let null = call!(libc::SYS_openat, libc::AT_FDCWD, b"/dev/null\0".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC, 0);
    must(Step::Streams, null)?;
    for (standard, end) in stdio.iter().enumerate() {
        let from = end.as_ref().map_or(null, |end| c_long::from(end.as_raw_fd()));
        if end.is_some() {
            call!(libc::SYS_fchown, from, plan.uid as c_long, plan.gid as c_long);
        }
        must(Step::Streams, call!(libc::SYS_dup3, from, standard, 0))?;
    }
    Ok(())
}

/// The bounding set first, while we may; the user keeps what he is to have, and the rest goes.
unsafe fn change_user(plan: &Plan) -> Result<(), (Step, i32)> {
    let sets = &plan.capabilities;
    for capability in 0..=plan.last_capability {
        if sets.bounding >> capability & 1 == 0 {
            must(Step::Capabilities, call!(libc::SYS_prctl, libc::PR_CAPBSET_DROP, capability as c_long, 0, 0, 0))?;
        }
    }
    if plan.uid != 0 {
        must(Step::Capabilities, call!(libc::SYS_prctl, libc::PR_SET_KEEPCAPS, 1, 0, 0, 0))?;
    }
    let (uid, gid) = (plan.uid as c_long, plan.gid as c_long);
    must(Step::User, call!(libc::SYS_setresgid, gid, gid, gid))?;
    must(Step::User, call!(libc::SYS_setresuid, uid, uid, uid))?;
    let header = [0x2008_0522u32, 0];
    let (e, p, i) = (sets.effective, sets.permitted, sets.inheritable);
    let data = [e as u32, p as u32, i as u32, (e >> 32) as u32, (p >> 32) as u32, (i >> 32) as u32];
    must(Step::Capabilities, call!(libc::SYS_capset, header.as_ptr(), data.as_ptr()))?;
    for capability in (0..=plan.last_capability).filter(|capability| sets.ambient >> capability & 1 == 1) {
        must(Step::Capabilities, call!(libc::SYS_prctl, libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, capability as c_long, 0, 0))?;
    }
    Ok(())
}

unsafe fn filter(plan: &Plan) -> Result<(), (Step, i32)> {
    #[repr(C)]
    struct Program {
        length: u16,
        instructions: *const u64,
    }
    match &plan.filter {
        None => Ok(()),
        Some(filter) => {
            let program = Program { length: filter.len() as u16, instructions: filter.as_ptr() };
            must(Step::Filter, call!(libc::SYS_seccomp, SECCOMP_SET_MODE_FILTER, FILTER_FLAGS, &program as *const Program))
        }
    }
}

/// Handlers fall with the exec; that a broken pipe is ignored would not.
unsafe fn execute(plan: &Plan) -> (Step, i32) {
    libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    let none = 0u64;
    call!(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &none as *const u64, 0, 8);
    let mut worst = (Step::Find, libc::ENOENT);
    for file in &plan.candidates {
        call!(libc::SYS_execve, file.as_ptr(), plan.argument_pointers(), plan.environment_pointers());
        let error = last_error();
        match error {
            libc::ENOENT | libc::ENOTDIR => {
                // A file whose interpreter is missing is there all the same.
                if call!(libc::SYS_faccessat, libc::AT_FDCWD, file.as_ptr(), libc::F_OK) == 0 {
                    return (Step::Execute, error);
                }
            }
            libc::EACCES => worst = (Step::Open, error),
            _ => return (Step::Execute, error),
        }
    }
    worst
}
