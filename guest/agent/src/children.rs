//! PID 1's first duty: every process that ends is reaped, and whoever waits for it is told.
//!
//! crun detaches, so a container's first process becomes the agent's child, and may have ended before crun has said which it was: exits of
//! processes nobody asked about are kept for a while as strays.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::unix::io::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};

use crate::reactor::Key;
use crate::sys;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// crun, starting a container.
    ContainerStart(Key),
    /// crun, starting a session's process.
    SessionStart(Key),
    /// A container's first process.
    Container(Key),
    /// A session's process.
    Session(Key),
}

#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// 0-255; 128 + N for signal N.
    pub code: i32,
    /// 0, or the signal that ended it.
    pub signal: i32,
    /// Nanoseconds since the epoch.
    pub time: u64,
}

const MOST_STRAYS: usize = 512;
static BELL: AtomicI32 = AtomicI32::new(-1);

extern "C" fn ring(_signal: libc::c_int) {
    let byte = 1u8;
    unsafe { libc::write(BELL.load(Ordering::Relaxed), (&byte as *const u8).cast(), 1) };
}

pub struct Children {
    bell: OwnedFd,
    jobs: BTreeMap<i32, Job>,
    strays: VecDeque<(i32, Ended)>,
}

impl Children {
    pub fn new() -> io::Result<Children> {
        let (bell, rope) = sys::pipe()?;
        sys::set_nonblocking(bell.as_raw_fd())?;
        sys::set_nonblocking(rope.as_raw_fd())?;
        BELL.store(rope.into_raw_fd(), Ordering::Relaxed);
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = ring as extern "C" fn(libc::c_int) as usize;
        action.sa_flags = libc::SA_RESTART | libc::SA_NOCLDSTOP;
        sys::check(unsafe { libc::sigaction(libc::SIGCHLD, &action, std::ptr::null_mut()) })?;
        Ok(Children { bell, jobs: BTreeMap::new(), strays: VecDeque::new() })
    }

    pub fn fd(&self) -> RawFd {
        self.bell.as_raw_fd()
    }

    /// Asks to be told when `pid` ends. If it has ended already, its end is the answer.
    pub fn expect(&mut self, pid: i32, job: Job) -> Option<Ended> {
        if let Some(at) = self.strays.iter().position(|(stray, _)| *stray == pid) {
            return self.strays.remove(at).map(|(_, ended)| ended);
        }
        self.jobs.insert(pid, job);
        None
    }

    /// Asks to be told when a child of our own ends, which cannot have been reaped yet.
    pub fn adopt(&mut self, pid: i32, job: Job) {
        self.jobs.insert(pid, job);
    }

    /// Reaps all that has ended, and gives what was expected, crun first: it tells whose the others are.
    pub fn reap(&mut self) -> Vec<(i32, Job, Ended)> {
        let mut drain = [0; 64];
        while matches!(sys::read(self.fd(), &mut drain), Ok(got) if got == drain.len()) {}
        let mut known = Vec::new();
        loop {
            let mut status = 0;
            let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) };
            if pid <= 0 {
                break;
            }
            let ended = decode(status, sys::wall_nanos());
            match self.jobs.remove(&pid) {
                Some(job) => known.push((pid, job, ended)),
                None => {
                    self.strays.truncate(MOST_STRAYS - 1);
                    self.strays.push_front((pid, ended));
                }
            }
        }
        known.sort_by_key(|(_, job, _)| !matches!(job, Job::ContainerStart(_) | Job::SessionStart(_)));
        known
    }

    /// Called when no crun is running: nobody can ask about a stray any more.
    pub fn forget_strays(&mut self) {
        if !self.jobs.values().any(|job| matches!(job, Job::ContainerStart(_) | Job::SessionStart(_))) {
            self.strays.clear();
        }
    }
}

fn decode(status: i32, time: u64) -> Ended {
    if libc::WIFSIGNALED(status) {
        let signal = libc::WTERMSIG(status);
        Ended { code: 128 + signal, signal, time }
    } else {
        Ended { code: libc::WEXITSTATUS(status), signal: 0, time }
    }
}
