//! Starts the VMM's process.
//!
//!   parent                                   child (process 1 of a new PID namespace)
//!   open descriptors, fork ────────────────▶ waits
//!   write DIRECTORY/pid, let go ───────────▶ cgroups, namespaces, root, powers, exec
//!   reads the status pipe ◀── words, or end of file when exec worked
//!
//! The pid file is there before the VMM is: whoever finds the directory after a crash finds the process.

use crate::descriptors::{self, Open};
use crate::options::Launch;
use crate::{identity, jail, memory, seccomp, share, sys, tap};
use std::ffi::CString;
use std::fs;
use std::io::Read;
use std::os::unix::io::{AsRawFd, OwnedFd};

/// Above what a shell's processes have: under memory pressure the host gives up a Pod before its own services.
const OOM_SCORE_ADJUSTMENT: &str = "300";

/// A running VMM and what its holder may need.
pub struct Started {
    pub directory: String,
    pub pid: libc::pid_t,
    pub start_time: u64,
    pub spare_tap: Option<tap::SpareTap>,
    pub memory: Option<OwnedFd>,
    pub monitor: Option<String>,
}

pub fn start(launch: &Launch) -> Result<Started, String> {
    let opened = descriptors::open_all(&launch.give, &launch.directory)?;
    let log = open_log(&launch.directory, "vmm.log")?;
    check_fork_safe(launch)?;
    let servers = share::start_all(launch, &opened.shares)?;
    drop(opened.shares);
    // Of no use without the VMM; with it, they end when it does.
    start_vmm(launch, Inside { all: opened.all, copies: opened.copies, log }).map_err(|message| {
        servers.into_iter().for_each(kill_and_reap);
        message
    }).map(|(pid, start_time)| Started {
        directory: launch.directory.clone(),
        pid,
        start_time,
        spare_tap: opened.spare_tap,
        memory: opened.memory,
        monitor: launch.monitor.clone(),
    })
}

/// What the VMM's process needs of its parent's.
struct Inside {
    all: Vec<Open>,
    copies: Vec<memory::Copy>,
    log: OwnedFd,
}

fn start_vmm(launch: &Launch, inside: Inside) -> Result<(libc::pid_t, u64), String> {
    let (go_read, go_write) = sys::pipe()?;
    let (status_read, status_write) = sys::pipe()?;
    sys::check(unsafe { libc::unshare(libc::CLONE_NEWPID) }, "unshare a PID namespace")?;
    let pid = sys::check(unsafe { libc::fork() }, "fork")?;
    if pid == 0 {
        drop(go_write);
        drop(status_read);
        let words = child(launch, inside, go_read, &status_write);
        let _ = sys::write_all(&status_write, words.as_bytes(), "status");
        unsafe { libc::_exit(1) };
    }
    drop(go_read);
    drop(status_write);
    // Copies of listening sockets in this process would outlive the VMM.
    drop(inside);
    let started = record(&launch.directory, "pid", pid).and_then(|start_time| {
        sys::write_all(&go_write, b"g", "the child's pipe")?;
        await_exec(status_read)?;
        Ok((pid, start_time))
    });
    if started.is_err() {
        kill_and_reap(pid);
    }
    started
}

/// SIGKILL to the whole PID namespace, and waits until it is gone.
pub fn kill_and_reap(pid: libc::pid_t) {
    unsafe { libc::kill(pid, libc::SIGKILL) };
    reap(pid);
}

/// Waits for the VMM to end.
pub fn reap(pid: libc::pid_t) {
    let mut status = 0;
    while unsafe { libc::waitpid(pid, &mut status, 0) } < 0 {
        if std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
            break;
        }
    }
}

/// Fails early on what the child could only report as a riddle.
fn check_fork_safe(launch: &Launch) -> Result<(), String> {
    let program = &launch.program[0];
    fs::metadata(program).map(|_| ()).map_err(|error| format!("{}: {}", program, error))
}

pub fn open_log(directory: &str, name: &str) -> Result<OwnedFd, String> {
    let path = format!("{}/{}", directory, name);
    sys::open(&path, libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND | libc::O_NOFOLLOW, 0o600)
}

/// Writes `PID STARTTIME` to DIRECTORY/NAME, whole or not at all.
pub fn record(directory: &str, name: &str, pid: libc::pid_t) -> Result<u64, String> {
    let start_time = sys::start_time(pid)?;
    write_process(&format!("{}/{}", directory, name), pid, start_time)?;
    Ok(start_time)
}

/// Writes `PID STARTTIME` of this process, which holds something, to DIRECTORY/holder.
pub fn record_holder(directory: &str) -> Result<(), String> {
    let pid = std::process::id() as libc::pid_t;
    write_process(&format!("{}/holder", directory), pid, sys::start_time(pid)?)
}

fn write_process(path: &str, pid: libc::pid_t, start_time: u64) -> Result<(), String> {
    let temporary = format!("{}.new", path);
    fs::write(&temporary, format!("{} {}\n", pid, start_time))
        .and_then(|_| fs::rename(&temporary, path))
        .map_err(|error| format!("{}: {}", path, error))
}

pub fn await_exec(status: OwnedFd) -> Result<(), String> {
    let mut words = String::new();
    let mut bounded = fs::File::from(status).take(4096);
    bounded.read_to_string(&mut words).map_err(|error| format!("status of the child: {}", error))?;
    if words.is_empty() {
        Ok(())
    } else {
        Err(words)
    }
}

/// Returns only on failure, with words for the caller.
fn child(launch: &Launch, inside: Inside, go: OwnedFd, status: &OwnedFd) -> String {
    match become_vmm(launch, inside, go, status) {
        Ok(()) => "the VMM could not be started".into(),
        Err(message) => message,
    }
}

fn become_vmm(launch: &Launch, inside: Inside, go: OwnedFd, status: &OwnedFd) -> Result<(), String> {
    let mut byte = [0u8; 1];
    let got = unsafe { libc::read(go.as_raw_fd(), byte.as_mut_ptr().cast(), 1) };
    if got != 1 {
        return Err("the launcher went away".into());
    }
    unsafe { libc::setsid() };
    // What the jail is made of has to be open to the VMM's uid.
    unsafe { libc::umask(0o022) };
    join_machine(launch)?;
    inside.copies.iter().try_for_each(memory::Copy::fill)?;
    let null = sys::open("/dev/null", libc::O_RDWR, 0)?;
    jail::enter(&launch.directory, &launch.program[0], &launch.shows, &launch.devices)?;
    unsafe { libc::umask(0o077) };
    for (fd, standard) in [(&null, 0), (&inside.log, 1), (&inside.log, 2)] {
        sys::check(unsafe { libc::dup2(fd.as_raw_fd(), standard) }, "standard streams")?;
    }
    let program = c_strings(&launch.program)?;
    let environment = c_strings(&launch.environment)?;
    let status = descriptors::arrange(inside.all, descriptors::duplicate(status)?)?;
    if launch.small_pages {
        sys::check(unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) }, "small pages only")?;
    }
    let result = identity::lower_limits()
        .and_then(|_| identity::drop_powers(launch.uid))
        .and_then(|_| seccomp::refuse_ways_out())
        .and_then(|_| execute(&program, &environment));
    if let Err(message) = &result {
        // The caller's copy of the status pipe was closed with everything else.
        let _ = sys::write_all(&status, message.as_bytes(), "status");
    }
    unsafe { libc::_exit(1) };
}

/// The calling process is one of the machine's: it counts for its limits, and goes with it when memory is short.
pub fn join_machine(launch: &Launch) -> Result<(), String> {
    for directory in &launch.cgroups {
        let path = format!("{}/cgroup.procs", directory);
        fs::write(&path, "0").map_err(|error| format!("join {}: {}", path, error))?;
    }
    fs::write("/proc/self/oom_score_adj", OOM_SCORE_ADJUSTMENT).map_err(|error| format!("oom_score_adj: {}", error))
}

pub fn c_strings(texts: &[String]) -> Result<Vec<CString>, String> {
    texts.iter().map(|text| sys::c_string(text)).collect()
}

/// Returns only on failure.
pub fn execute(program: &[CString], environment: &[CString]) -> Result<(), String> {
    let pointers = |texts: &[CString]| -> Vec<*const libc::c_char> {
        texts.iter().map(|text| text.as_ptr()).chain(std::iter::once(std::ptr::null())).collect()
    };
    let (arguments, variables) = (pointers(program), pointers(environment));
    let result = unsafe { libc::execve(arguments[0], arguments.as_ptr(), variables.as_ptr()) };
    sys::check(result, &format!("exec {}", program[0].to_string_lossy())).map(|_| ())
}
