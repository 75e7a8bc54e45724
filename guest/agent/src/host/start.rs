//! From a command line to a machine that runs: the parent stays on the host, makes what is opened there, and tells how it went; the child becomes the
//! machine.
//!
//!   parent: open everything ─▶ fork ─▶ DIRECTORY/pid ─▶ gate ─▶ waits for the child's word ─▶ prints `pid PID STARTTIME`
//!   child:                        gate ─▶ cgroups, namespaces, root (boot.rs) ─▶ word ─▶ the agent's loop
//!
//! A parent that is killed before it opened the gate leaves no child; after that, DIRECTORY/pid names the machine.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::io::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use super::boot::{self, Parts};
use super::gifts;
use super::options::{Network, Options};
use crate::failure::{Context, Failure, Outcome};
use crate::sys;

pub fn start(options: &Options) -> Outcome<()> {
    let parts = open_parts(options)?;
    let console = console_of(options)?;
    let (gate, opener) = sys::pipe().context(|| "make a pipe".into())?;
    let (words, teller) = sys::pipe().context(|| "make a pipe".into())?;
    if !options.host_pid {
        sys::check(unsafe { libc::unshare(libc::CLONE_NEWPID) }).context(|| "make a PID namespace".into())?;
    }
    let pid = sys::check(unsafe { libc::fork() }).context(|| "fork".into())?;
    if pid == 0 {
        drop((opener, words));
        become_machine(options, parts, Ties { console, gate, teller });
    }
    drop((gate, teller));
    let outcome = see_through(options, pid, opener, words);
    if outcome.is_err() {
        let _ = sys::signal(pid, libc::SIGKILL);
        unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
    }
    outcome
}

fn open_parts(options: &Options) -> Outcome<Parts> {
    let directory = Path::new(&options.directory);
    let listen = |name: &str| -> io::Result<UnixListener> {
        let path = directory.join(name);
        let _ = fs::remove_file(&path);
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    let mount_point = directory.join("root");
    fs::create_dir_all(&mount_point).context(|| format!("make {}", mount_point.display()))?;
    Ok(Parts {
        channel: listen("agent").context(|| format!("listen on {}/agent", options.directory))?,
        gifts_listener: listen("gifts").context(|| format!("listen on {}/gifts", options.directory))?,
        rootfs: fs::File::open(&options.rootfs).context(|| format!("open {}", options.rootfs))?.into(),
        gifts: options.gifts.iter().map(gifts::open).collect::<Outcome<_>>()?,
        host_devices: fs::File::open("/dev").context(|| "open /dev".into())?.into(),
        mount_point,
    })
}

fn console_of(options: &Options) -> Outcome<OwnedFd> {
    let path = Path::new(&options.directory).join("console");
    let file = fs::OpenOptions::new().create(true).append(true).open(&path);
    Ok(file.context(|| format!("open {}", path.display()))?.into())
}

/// What ties the child to its parent until it is a machine.
struct Ties {
    console: OwnedFd,
    gate: OwnedFd,
    teller: OwnedFd,
}

fn become_machine(options: &Options, parts: Parts, ties: Ties) -> ! {
    let mut teller = fs::File::from(ties.teller);
    let mut opened = [0];
    if !matches!(sys::read(ties.gate.as_raw_fd(), &mut opened), Ok(1)) {
        std::process::exit(1);
    }
    drop(ties.gate);
    let agent = detach(&ties.console).and_then(|()| enter(options)).and_then(|()| boot::boot(options, parts));
    match agent {
        Ok(mut agent) => {
            drop((teller, ties.console));
            crate::console::say("ready");
            agent.run()
        }
        Err(failure) => {
            let _ = teller.write_all(format!("{}\n{}", failure.reason, failure.message).as_bytes());
            std::process::exit(1);
        }
    }
}

/// Its words go to the console file; it has no terminal and does not end with the caller's.
fn detach(console: &OwnedFd) -> Outcome<()> {
    let detach = || -> io::Result<()> {
        sys::check(unsafe { libc::setsid() })?;
        let null = fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
        sys::check(unsafe { libc::dup2(null.as_raw_fd(), 0) })?;
        for standard in [1, 2] {
            sys::check(unsafe { libc::dup2(console.as_raw_fd(), standard) })?;
        }
        std::env::set_current_dir("/")
    };
    detach().context(|| "detach from the caller".into())
}

fn enter(options: &Options) -> Outcome<()> {
    for group in &options.cgroups {
        let file = Path::new(group).join("cgroup.procs");
        fs::write(&file, "0").context(|| format!("join {}", group))?;
    }
    // The last to go when memory is short: all of the Pod hangs on it. Containers get their own score from crun.
    let _ = fs::write("/proc/self/oom_score_adj", "-998");
    if options.host_pid {
        // What crun leaves behind becomes a child of the agent, as PID 1's would.
        sys::check(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }).context(|| "adopt orphans".into())?;
    }
    let mut fresh = libc::CLONE_NEWNS | libc::CLONE_NEWUTS;
    if options.group.is_none() {
        fresh |= libc::CLONE_NEWCGROUP;
    }
    if !options.host_ipc {
        fresh |= libc::CLONE_NEWIPC;
    }
    match &options.network {
        Network::Own => fresh |= libc::CLONE_NEWNET,
        Network::Host => {}
        Network::At(path) => {
            let namespace = fs::File::open(path).context(|| format!("open {}", path))?;
            sys::check(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) }).context(|| format!("enter {}", path))?;
        }
    }
    sys::check(unsafe { libc::unshare(fresh) }).context(|| "make namespaces".into()).map(drop)
}

fn see_through(options: &Options, pid: i32, opener: OwnedFd, words: OwnedFd) -> Outcome<()> {
    let name = format!("{} {}", pid, start_time(pid).context(|| "read the machine's start time".into())?);
    let file = PathBuf::from(&options.directory).join("pid");
    fs::write(&file, &name).context(|| format!("write {}", file.display()))?;
    sys::write(opener.as_raw_fd(), &[1]).context(|| "start the machine".into())?;
    let mut said = String::new();
    let mut reader = unsafe { fs::File::from_raw_fd(words.into_raw_fd()) };
    reader.read_to_string(&mut said).context(|| "hear from the machine".into())?;
    match said.split_once('\n') {
        // The reasons are this very program's.
        Some((reason, message)) if reason == "FailedPrecondition" => Err(Failure::precondition(message)),
        Some((reason, message)) if reason == "ResourceExhausted" => Err(Failure::new("ResourceExhausted", message)),
        Some((_, message)) => Err(Failure::internal(message)),
        None => {
            println!("pid {}", name);
            Ok(())
        }
    }
}

/// Field 22 of /proc/PID/stat: with the pid it names a process for good. The command name stands in parentheses and may hold anything.
fn start_time(pid: i32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid))?;
    let field = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(19)).and_then(|field| field.parse().ok());
    field.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}
