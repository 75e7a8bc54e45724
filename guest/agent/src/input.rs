//! The way into a process: bytes that wait until its stdin, terminal or socket takes them.

use std::collections::VecDeque;
use std::os::unix::io::{AsRawFd, OwnedFd, RawFd};

use crate::sys;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum InputKind {
    Pipe,
    Terminal,
    Socket,
}

pub struct Input {
    kind: InputKind,
    fd: Option<OwnedFd>,
    queue: VecDeque<u8>,
    /// The writer has nothing more to say.
    ending: bool,
    closed: bool,
    /// Bytes that the process has taken since the start.
    pub taken: u64,
}

impl Input {
    /// `fd` is absent where it comes later (a terminal).
    pub fn new(kind: InputKind, fd: Option<OwnedFd>) -> Input {
        Input { kind, fd, queue: VecDeque::new(), ending: false, closed: false, taken: 0 }
    }

    pub fn connect(&mut self, fd: OwnedFd) {
        self.fd = Some(fd);
    }

    pub fn fd(&self) -> Option<RawFd> {
        self.fd.as_ref().map(AsRawFd::as_raw_fd)
    }

    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    pub fn is_closed(&self) -> bool {
        self.closed || self.ending
    }

    pub fn push(&mut self, data: &[u8]) {
        if !self.is_closed() {
            self.queue.extend(data);
        }
    }

    pub fn end(&mut self) {
        self.ending = true;
    }

    /// Writes what is taken now and says whether to wait for more room.
    pub fn flush(&mut self) -> bool {
        let fd = match self.fd() {
            Some(fd) => fd,
            None => return false,
        };
        while !self.queue.is_empty() {
            match sys::write(fd, self.queue.as_slices().0) {
                Ok(put) => {
                    self.queue.drain(..put);
                    self.taken += put as u64;
                }
                Err(error) if sys::would_block(&error) => return true,
                Err(_) => {
                    self.close();
                    return false;
                }
            }
        }
        if self.ending {
            self.finish();
        }
        false
    }

    /// Passes the end on: a pipe is closed, a socket half-closed; a terminal has no such thing.
    fn finish(&mut self) {
        match (self.kind, self.fd()) {
            (InputKind::Pipe, _) => self.close(),
            (InputKind::Socket, Some(fd)) => {
                unsafe { libc::shutdown(fd, libc::SHUT_WR) };
            }
            _ => {}
        }
    }

    /// Drops what is left. The descriptor must not be watched any more, or be forgotten by the caller before.
    pub fn close(&mut self) {
        self.taken += self.queue.len() as u64;
        self.queue.clear();
        self.closed = true;
        if self.kind == InputKind::Pipe {
            self.fd = None;
        }
    }
}
