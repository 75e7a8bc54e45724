//! What the agent waits for: file descriptors and what each is for. One thread waits here; nothing else blocks.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::io::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::sys;

/// A container's or session's number in its table.
pub type Key = u32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Channel,
    /// The host has something to hand over.
    Gifts,
    Children,
    Workers,
    /// A container's stdout (1) or stderr (2).
    Output(Key, u8),
    ContainerStdin(Key),
    ContainerConsole(Key),
    OomEvents(Key),
    SessionInput(Key),
    SessionOutput(Key, u8),
    SessionConsole(Key),
    /// A process on its way into a container has become what it was to be, or never will.
    SessionReport(Key),
    /// The same of an exec that is kept.
    ExecReport(Key),
}

pub const READ: u32 = libc::EPOLLIN as u32;
pub const WRITE: u32 = libc::EPOLLOUT as u32;
pub const PRIORITY: u32 = libc::EPOLLPRI as u32;
pub const EDGE: u32 = libc::EPOLLET as u32;

pub struct Reactor {
    epoll: OwnedFd,
    sources: BTreeMap<RawFd, (Source, u32)>,
}

impl Reactor {
    pub fn new() -> io::Result<Reactor> {
        let epoll = sys::check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        Ok(Reactor { epoll: unsafe { OwnedFd::from_raw_fd(epoll) }, sources: BTreeMap::new() })
    }

    /// Waits for `events` on `fd` from now on; repeating it changes them.
    pub fn watch(&mut self, fd: RawFd, source: Source, events: u32) {
        let operation = match self.sources.get(&fd) {
            Some(known) if *known == (source, events) => return,
            Some(_) => libc::EPOLL_CTL_MOD,
            None => libc::EPOLL_CTL_ADD,
        };
        let mut event = libc::epoll_event { events, u64: fd as u64 };
        if unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, fd, &mut event) } == 0 {
            self.sources.insert(fd, (source, events));
        }
    }

    /// Call it before the descriptor is closed. Harmless when it is not watched.
    pub fn forget(&mut self, fd: RawFd) {
        if self.sources.remove(&fd).is_some() {
            unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_DEL, fd, std::ptr::null_mut()) };
        }
    }

    /// Waits for something to happen, at most `patience` milliseconds where it is given.
    pub fn wait(&mut self, patience: Option<u64>) -> Vec<(Source, u32)> {
        let patience = patience.map_or(-1, |millis| millis as libc::c_int + 1);
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 32];
        let count = unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), events.as_mut_ptr(), 32, patience) };
        let ready = events.iter().take(count.max(0) as usize);
        ready.filter_map(|event| Some((self.sources.get(&(event.u64 as RawFd))?.0, event.events))).collect()
    }
}
