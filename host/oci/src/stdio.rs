//! Where the service finds the caller's standard streams: it opens /proc/PID/fd/N of this process, so that no byte passes through here. A
//! socket cannot be opened so: there a pipe stands between, and the kernel moves the bytes (splice).

use std::io::Error;
use std::os::unix::io::{AsRawFd, OwnedFd, RawFd};

use serde_json::{json, Value};

use crate::failure::Outcome;
use crate::sys;

/// Bytes on their way, and of one splice.
const PIECE: usize = 256 * 1024;

pub struct Stdio {
    /// What the service is told: names and paths.
    pub paths: Value,
    pumps: Vec<Pump>,
}

/// Bytes on their way between a socket and a pipe, whose ends are both kept: the service opens one through /proc, perhaps more than once.
struct Pump {
    from: RawFd,
    to: RawFd,
    is_stdin: bool,
    read_end: OwnedFd,
    write_end: Option<OwnedFd>,
    /// The receiver is full: wait for it, not for the sender.
    is_full: bool,
    has_ended: bool,
}

/// With a terminal everything is on one stream.
pub fn describe(terminal: bool) -> Outcome<Stdio> {
    let mut pumps = Vec::new();
    let mut path_of = |standard: RawFd| -> Outcome<String> {
        if !is_socket(standard) {
            return Ok(format!("/proc/{}/fd/{}", std::process::id(), standard));
        }
        let (read_end, write_end) = sys::pipe()?;
        // The service need not wait for us after each piece. Where it may not be that large it is as it is.
        unsafe { libc::fcntl(write_end.as_raw_fd(), libc::F_SETPIPE_SZ, PIECE as libc::c_int) };
        let is_stdin = standard == 0;
        let (from, to) = if is_stdin { (0, write_end.as_raw_fd()) } else { (read_end.as_raw_fd(), standard) };
        let path = format!("/proc/{}/fd/{}", std::process::id(), read_end.as_raw_fd());
        pumps.push(Pump { from, to, is_stdin, read_end, write_end: Some(write_end), is_full: false, has_ended: false });
        Ok(path)
    };
    let paths = if terminal {
        json!({ "stdin": path_of(0)?, "stdout": path_of(1)? })
    } else {
        json!({ "stdin": path_of(0)?, "stdout": path_of(1)?, "stderr": path_of(2)? })
    };
    Ok(Stdio { paths, pumps })
}

impl Stdio {
    /// Descriptors that must stay open.
    pub fn kept(&self) -> Vec<RawFd> {
        self.pumps.iter().flat_map(|pump| std::iter::once(pump.read_end.as_raw_fd()).chain(pump.write_end.iter().map(|end| end.as_raw_fd()))).collect()
    }

    /// What to wait for before `pump` can go on.
    pub fn wanted(&self) -> Vec<libc::pollfd> {
        let live = self.pumps.iter().filter(|pump| !pump.has_ended);
        live.map(|pump| match pump.is_full {
            true => libc::pollfd { fd: pump.to, events: libc::POLLOUT, revents: 0 },
            false => libc::pollfd { fd: pump.from, events: libc::POLLIN, revents: 0 },
        })
        .collect()
    }

    pub fn pump(&mut self) {
        for pump in self.pumps.iter_mut().filter(|pump| !pump.has_ended) {
            pump.once(libc::SPLICE_F_NONBLOCK);
        }
    }

    /// The process has ended: what stands in the pipes of its output goes out before we end too.
    pub fn drain(&mut self) {
        for pump in self.pumps.iter_mut().filter(|pump| !pump.is_stdin) {
            pump.write_end = None;
            while !pump.has_ended {
                pump.once(0);
                if pump.is_full {
                    let mut wait = libc::pollfd { fd: pump.to, events: libc::POLLOUT, revents: 0 };
                    unsafe { libc::poll(&mut wait, 1, -1) };
                }
            }
        }
    }
}

impl Pump {
    fn once(&mut self, flags: libc::c_uint) {
        let moved = unsafe { libc::splice(self.from, std::ptr::null_mut(), self.to, std::ptr::null_mut(), PIECE, flags) };
        if moved > 0 {
            self.is_full = false;
            return;
        }
        let error = Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR) if moved < 0 => {}
            // Either side may be the one that cannot: wait for the other one next time.
            Some(libc::EAGAIN) if moved < 0 => self.is_full = !self.is_full,
            _ => {
                self.has_ended = true;
                if self.is_stdin {
                    self.write_end = None;
                }
            }
        }
    }
}

fn is_socket(descriptor: RawFd) -> bool {
    unsafe {
        let mut status: libc::stat = std::mem::zeroed();
        libc::fstat(descriptor, &mut status) == 0 && status.st_mode & libc::S_IFMT == libc::S_IFSOCK
    }
}
