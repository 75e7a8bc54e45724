//! Terminals: crun makes them and sends the master's descriptor over a unix socket (its --console-socket).

use std::fs;
use std::io;
use std::os::unix::io::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use crate::sys;

pub struct ConsoleSocket {
    pub path: PathBuf,
    listener: UnixListener,
}

impl ConsoleSocket {
    pub fn listen(path: &Path) -> io::Result<ConsoleSocket> {
        let _ = fs::remove_file(path);
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        Ok(ConsoleSocket { path: path.to_path_buf(), listener })
    }

    pub fn fd(&self) -> RawFd {
        self.listener.as_raw_fd()
    }

    /// The master, once crun has connected. crun sends it at once, so the short wait for its message is no risk.
    pub fn receive(&self) -> io::Result<OwnedFd> {
        let (stream, _) = self.listener.accept()?;
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(std::time::Duration::from_secs(5)))?;
        let master = receive_descriptor(stream.as_raw_fd())?;
        sys::set_nonblocking(master.as_raw_fd())?;
        Ok(master)
    }
}

impl Drop for ConsoleSocket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn receive_descriptor(socket: RawFd) -> io::Result<OwnedFd> {
    let mut name = [0u8; 256];
    let mut control = [0u64; 8];
    let mut piece = libc::iovec { iov_base: name.as_mut_ptr().cast(), iov_len: name.len() };
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &mut piece;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = std::mem::size_of_val(&control);
    // A call with a time limit is not restarted after a signal (signal(7)), and children end at any moment: whoever gave up here would hang up the
    // terminal that is on its way.
    while unsafe { libc::recvmsg(socket, &mut message, libc::MSG_CMSG_CLOEXEC) } < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    let header = unsafe { libc::CMSG_FIRSTHDR(&message) };
    if header.is_null() || unsafe { (*header).cmsg_type } != libc::SCM_RIGHTS {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no terminal in crun's message"));
    }
    let fd = unsafe { (libc::CMSG_DATA(header) as *const RawFd).read_unaligned() };
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

pub fn resize(master: RawFd, columns: u64, rows: u64) -> io::Result<()> {
    let size = libc::winsize {
        ws_row: rows.min(0xFFFF) as u16,
        ws_col: columns.min(0xFFFF) as u16,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    sys::check(unsafe { libc::ioctl(master, libc::TIOCSWINSZ, &size) }).map(drop)
}

/// A second descriptor for the same terminal: one for each direction.
pub fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    let copy = sys::check(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) })?;
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}
