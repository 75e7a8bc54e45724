//! Thin safe edges around the system calls that std does not have. Every error names the call.

use std::ffi::CString;
use std::io::Error;
use std::os::unix::io::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::failure::{Failure, Outcome};

/// Turns a -1 return into "WHAT: the system's words".
pub fn check(result: libc::c_int, what: &str) -> Outcome<libc::c_int> {
    if result < 0 {
        Err(Failure::new(format!("{}: {}", what, Error::last_os_error())))
    } else {
        Ok(result)
    }
}

pub fn c_string(text: &str) -> Outcome<CString> {
    CString::new(text).map_err(|_| Failure::new(format!("{:?} holds a NUL byte", text)))
}

/// Opens `path`, close-on-exec.
pub fn open(path: &str, flags: libc::c_int) -> Outcome<OwnedFd> {
    let name = c_string(path)?;
    check(unsafe { libc::open(name.as_ptr(), flags | libc::O_CLOEXEC, 0o600) }, &format!("open {}", path)).map(own)
}

/// How many names a file has; a directory that was removed has none.
pub fn links(fd: RawFd) -> Outcome<u64> {
    let mut status: libc::stat = unsafe { std::mem::zeroed() };
    check(unsafe { libc::fstat(fd, &mut status) }, "fstat")?;
    Ok(status.st_nlink as u64)
}

/// Takes ownership of a descriptor that a system call has just returned.
pub fn own(fd: RawFd) -> OwnedFd {
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// A pipe, both ends close-on-exec: (read, write).
pub fn pipe() -> Outcome<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }, "pipe2")?;
    Ok((own(ends[0]), own(ends[1])))
}

/// Closes every descriptor from 3 on but those in `keep`: what the caller left open is not the container's.
pub fn close_others(keep: &[RawFd]) {
    let open: Vec<RawFd> = match std::fs::read_dir("/proc/self/fd") {
        Ok(entries) => entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect(),
        Err(_) => (3..1024).collect(),
    };
    for fd in open {
        if fd > 2 && !keep.contains(&fd) {
            unsafe { libc::close(fd) };
        }
    }
}

/// Sends one descriptor over a connected unix socket, with `word` as the message (SCM_RIGHTS).
pub fn send_descriptor(socket: &impl AsRawFd, descriptor: &impl AsRawFd, word: &[u8]) -> Outcome<()> {
    let mut control = [0u64; 4];
    let mut piece = libc::iovec { iov_base: word.as_ptr() as *mut libc::c_void, iov_len: word.len() };
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &mut piece;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    let size = std::mem::size_of::<RawFd>() as libc::c_uint;
    message.msg_controllen = unsafe { libc::CMSG_SPACE(size) } as _;
    unsafe {
        let header = libc::CMSG_FIRSTHDR(&message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(size) as _;
        libc::CMSG_DATA(header).cast::<RawFd>().write_unaligned(descriptor.as_raw_fd());
        check(libc::sendmsg(socket.as_raw_fd(), &message, libc::MSG_NOSIGNAL) as libc::c_int, "send a descriptor")?;
    }
    Ok(())
}

/// Every descriptor from 3 on is closed by the next exec.
pub fn close_on_exec_from_3() {
    for fd in 3..1024 {
        unsafe {
            let flags = libc::fcntl(fd, libc::F_GETFD);
            if flags >= 0 {
                libc::fcntl(fd, libc::F_SETFD, flags | libc::FD_CLOEXEC);
            }
        }
    }
}
