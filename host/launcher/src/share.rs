//! Servers of directories that the guest shares with the host: one virtiofsd a share, in a jail of its own.
//!
//!   DIRECTORY/shareN       `PID STARTTIME` of the server, process 1 of a PID namespace: all of it dies with that process
//!   DIRECTORY/shareN.log   what it said
//!
//! It is started before the VMM, which finds its end of the connection under a fixed number. When the VMM ends, the connection does, and
//! the server with it. virtiofsd shuts itself in (-o sandbox=namespace): the shared directory is all its mount namespace has, it has no network, a
//! list of the system calls it may use, and of root's powers those that files need; here it loses the one that makes devices.

use crate::options::Launch;
use crate::{descriptors, jail, process, sys};
use std::os::unix::io::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};

const LISTENER: RawFd = 3;

pub struct Server {
    name: String,
    path: String,
    writable: bool,
    listener: OwnedFd,
}

/// The VMM's end of the connection, and the server to be started for it.
pub fn prepare(directory: &str, index: usize, path: &str, writable: bool) -> Result<(OwnedFd, Server), String> {
    // Short, for a socket's path is short; and gone before anybody else could connect.
    let socket = format!("{}/s{}", directory, index);
    let _ = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).map_err(|error| format!("listen on {}: {}", socket, error))?;
    let connection = UnixStream::connect(&socket).map_err(|error| format!("connect to {}: {}", socket, error));
    let _ = std::fs::remove_file(&socket);
    let server = Server {
        name: format!("share{}", index),
        path: path.into(),
        writable,
        listener: sys::own(listener.into_raw_fd()),
    };
    Ok((sys::own(connection?.into_raw_fd()), server))
}

/// Their processes. On failure none is left.
pub fn start_all(launch: &Launch, servers: &[Server]) -> Result<Vec<libc::pid_t>, String> {
    let mut started = Vec::new();
    for server in servers {
        match start(launch, server) {
            Ok(pid) => started.push(pid),
            Err(message) => {
                started.into_iter().for_each(process::kill_and_reap);
                return Err(format!("share {}: {}", server.path, message));
            }
        }
    }
    Ok(started)
}

fn start(launch: &Launch, server: &Server) -> Result<libc::pid_t, String> {
    let log = process::open_log(&launch.directory, &format!("{}.log", server.name))?;
    let (go_read, go_write) = sys::pipe()?;
    let (status_read, status_write) = sys::pipe()?;
    // Not unshare and fork: a process can do that once only, and it is the VMM's turn later.
    let flags = (libc::CLONE_NEWPID | libc::SIGCHLD) as libc::c_ulong;
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) } as libc::c_int;
    if sys::check(pid, "clone")? == 0 {
        drop(go_write);
        drop(status_read);
        let words = match become_server(launch, server, log, go_read, &status_write) {
            Ok(()) => "virtiofsd could not be started".into(),
            Err(message) => message,
        };
        let _ = sys::write_all(&status_write, words.as_bytes(), "status");
        unsafe { libc::_exit(1) };
    }
    drop(go_read);
    drop(status_write);
    let started = process::record(&launch.directory, &server.name, pid)
        .and_then(|_| sys::write_all(&go_write, b"g", "the child's pipe"))
        .and_then(|_| process::await_exec(status_read));
    match started {
        Ok(()) => Ok(pid),
        Err(message) => {
            process::kill_and_reap(pid);
            Err(message)
        }
    }
}

/// Returns only on failure.
fn become_server(launch: &Launch, server: &Server, log: OwnedFd, go: OwnedFd, status: &OwnedFd) -> Result<(), String> {
    let mut byte = [0u8; 1];
    if unsafe { libc::read(go.as_raw_fd(), byte.as_mut_ptr().cast(), 1) } != 1 {
        return Err("the launcher went away".into());
    }
    unsafe { libc::setsid() };
    process::join_machine(launch)?;
    enter_namespaces(server)?;
    let null = sys::open("/dev/null", libc::O_RDWR, 0)?;
    for (fd, standard) in [(&null, 0), (&log, 1), (&log, 2)] {
        sys::check(unsafe { libc::dup2(fd.as_raw_fd(), standard) }, "standard streams")?;
    }
    raise_file_limit()?;
    let listener = descriptors::Open { target: LISTENER, fd: descriptors::duplicate(&server.listener)? };
    let status = descriptors::arrange(vec![listener], descriptors::duplicate(status)?)?;
    let program = process::c_strings(&command(launch, server))?;
    let result = process::execute(&program, &process::c_strings(&["PATH=/usr/bin:/bin".to_string()])?);
    if let Err(message) = &result {
        // The caller's copy of the status pipe was closed with everything else.
        let _ = sys::write_all(&status, message.as_bytes(), "status");
    }
    unsafe { libc::_exit(1) };
}

fn command(launch: &Launch, server: &Server) -> Vec<String> {
    let program = launch.share_server.clone().unwrap_or_default();
    let source = format!("source={}", server.path);
    let fixed = ["sandbox=namespace", "announce_submounts", "xattr", "modcaps=-mknod", "log_level=warn"];
    let mut words = vec![program, format!("--fd={}", LISTENER), "-f".into(), "--rlimit-nofile=0".into()];
    let options: Vec<&str> = fixed.iter().chain(remembering(&words[0])).copied().chain([source.as_str()]).collect();
    for option in options {
        words.extend(["-o".to_string(), option.to_string()]);
    }
    words
}

/// How long the guest remembers: everything for a second, and what it has read for as long as the file's time says that it has not changed. Without the latter
/// each start of a program reads the program anew. Only the virtiofsd that comes with QEMU can be told both.
fn remembering(program: &str) -> &'static [&'static str] {
    if program.contains("/qemu/") {
        &["cache=always", "timeout=1"]
    } else {
        &["cache=auto"]
    }
}

/// What is mounted below a writable share later comes in from the host, and nothing goes out. A read-only one stays as it is now, so that nothing
/// comes in that is writable.
fn enter_namespaces(server: &Server) -> Result<(), String> {
    let namespaces = libc::CLONE_NEWNS | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    sys::check(unsafe { libc::unshare(namespaces) }, "unshare")?;
    let propagation = if server.writable { libc::MS_SLAVE } else { libc::MS_PRIVATE };
    jail::mount(None, "/", None, libc::MS_REC | propagation, None)?;
    if server.writable {
        return Ok(());
    }
    jail::mount(Some(&server.path), &server.path, None, libc::MS_BIND | libc::MS_REC, None)?;
    make_read_only(&server.path)
}

/// mount_setattr(2), for the directory and everything mounted below it.
fn make_read_only(path: &str) -> Result<(), String> {
    const AT_RECURSIVE: libc::c_uint = 0x8000;
    const MOUNT_ATTR_RDONLY: u64 = 1;
    const SYS_MOUNT_SETATTR: libc::c_long = 442;
    // attr_set, attr_clr, propagation, userns_fd
    let attributes = [MOUNT_ATTR_RDONLY, 0, 0, 0];
    let name = sys::c_string(path)?;
    let size = std::mem::size_of_val(&attributes);
    let result = unsafe { libc::syscall(SYS_MOUNT_SETATTR, libc::AT_FDCWD, name.as_ptr(), AT_RECURSIVE, attributes.as_ptr(), size) };
    sys::check(result as libc::c_int, &format!("make {} read-only", path)).map(|_| ())
}

/// virtiofsd holds a descriptor for every file that the guest remembers.
fn raise_file_limit() -> Result<(), String> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    sys::check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) }, "getrlimit")?;
    limit.rlim_cur = limit.rlim_max;
    sys::check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, "setrlimit").map(|_| ())
}
