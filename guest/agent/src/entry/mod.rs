//! One more process in a running container, without crun: the agent forks, and the child joins the container's namespaces and control group and becomes
//! what the process is to be (child.rs). Under an emulator that takes a tenth of the time in which crun is loaded, reads its state and does the same.
//!
//! Whatever is out of the ordinary is crun's, as before: `enter` then answers None. What is ordinary is decided by lists of what is known (door.rs,
//! plan.rs), so that a field nobody here has heard of is never passed over.

mod child;
mod door;
mod plan;

use std::fs;
use std::io;
use std::os::unix::io::{AsRawFd, FromRawFd, OwnedFd};

use serde_json::Value;

use crate::container::Container;
use crate::crun::Stdio3;
use crate::failure::{Failure, Outcome};
use crate::reactor::Reactor;
use crate::{cgroup, freeze, sys};
pub use door::Door;
use plan::Plan;

/// A process on its way: its id, and who tells how it goes.
pub struct Entered {
    pub pid: i32,
    pub report: Report,
}

/// The child's end closes when its program runs; before that it may say why it never will.
pub struct Report {
    pipe: OwnedFd,
    program: String,
    directory: String,
}

/// How a process on its way has ended up: its program runs, or the words why it never will; None as long as nobody knows. Who has told is let go.
pub fn told(report: &mut Option<Report>, reactor: &mut Reactor) -> Option<Result<(), String>> {
    let told = report.as_ref()?.read()?;
    if let Some(report) = report.take() {
        reactor.forget(report.fd());
    }
    Some(told)
}

/// Starts `process` (runtime-spec) in `owner`. None: crun has to do it.
pub fn enter(owner: &Container, process: &Value, stdio: &Stdio3) -> Outcome<Option<Entered>> {
    let plan = match Plan::of(owner, process) {
        Some(plan) => plan,
        None => return Ok(None),
    };
    let group = owner.cgroup();
    if freeze::is_frozen(&group) {
        return Err(Failure::internal(format!("the container `{}` is paused", owner.id)));
    }
    let program = plan.program().to_string();
    let directory = plan.directory.to_string_lossy().into_owned();
    match launch(owner.pid, &group, &plan, stdio) {
        Ok((pid, pipe)) => Ok(Some(Entered { pid, report: Report { pipe, program, directory } })),
        // No processes may be added to a group that has given controllers to groups of its own: crun makes one beside them.
        Err(_) => Ok(None),
    }
}

fn launch(container: i32, group: &str, plan: &Plan, stdio: &Stdio3) -> io::Result<(i32, OwnedFd)> {
    let (pipe, theirs) = sys::pipe()?;
    sys::set_nonblocking(pipe.as_raw_fd())?;
    let group = fs::File::open(cgroup::path(group))?;
    let container = pidfd_of(container)?;
    let own = fs::File::open("/proc/self/ns/pid")?;
    // A process cannot change the PID namespace it is in, only that of its children.
    join(container.as_raw_fd(), libc::CLONE_NEWPID)?;
    let pid = child::spawn(plan, child::Ends { container: container.as_raw_fd(), group: group.as_raw_fd(), report: theirs.as_raw_fd() }, stdio);
    join(own.as_raw_fd(), libc::CLONE_NEWPID).expect("a process may always return to its own PID namespace");
    Ok((pid?, pipe))
}

/// Of a process whose number cannot be another's: its end has not been reaped.
fn pidfd_of(pid: i32) -> io::Result<OwnedFd> {
    let fd = sys::check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) } as libc::c_int)?;
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn join(namespaces: libc::c_int, kinds: libc::c_int) -> io::Result<()> {
    sys::check(unsafe { libc::setns(namespaces, kinds) }).map(drop)
}

impl Report {
    pub fn fd(&self) -> i32 {
        self.pipe.as_raw_fd()
    }

    fn read(&self) -> Option<Result<(), String>> {
        let mut said = [0u8; child::REPORT_BYTES];
        match sys::read(self.fd(), &mut said) {
            Ok(0) => Some(Ok(())),
            Ok(got) if got == said.len() => Some(Err(self.words(child::decode(said)))),
            Err(error) if sys::would_block(&error) || error.kind() == io::ErrorKind::Interrupted => None,
            _ => Some(Err("a process on its way into the container broke off".into())),
        }
    }

    /// In crun's words, which clients know.
    fn words(&self, (step, error): (child::Step, i32)) -> String {
        use child::Step;
        let what = match step {
            Step::Find => format!("executable file `{}` not found in $PATH", self.program),
            Step::Open => "open executable".into(),
            Step::Execute => "exec".into(),
            Step::Directory => format!("chdir `{}`", self.directory),
            other => format!("{:?}", other).to_lowercase(),
        };
        format!("{}: {}", what, strerror(error))
    }
}

fn strerror(error: i32) -> String {
    let words = unsafe { std::ffi::CStr::from_ptr(libc::strerror(error)) };
    words.to_string_lossy().into_owned()
}
