//! Thin safe edges around the system calls that std does not have. Every error names the call and the object.

use std::ffi::CString;
use std::io::Error;
use std::os::unix::io::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Turns a -1 return into "WHAT: the system's words".
pub fn check(result: libc::c_int, what: &str) -> Result<libc::c_int, String> {
    if result < 0 {
        Err(format!("{}: {}", what, Error::last_os_error()))
    } else {
        Ok(result)
    }
}

pub fn c_string(text: &str) -> Result<CString, String> {
    CString::new(text).map_err(|_| format!("{:?} holds a NUL byte", text))
}

/// Opens `path`, close-on-exec.
pub fn open(path: &str, flags: libc::c_int, mode: libc::mode_t) -> Result<OwnedFd, String> {
    let name = c_string(path)?;
    let fd = unsafe { libc::open(name.as_ptr(), flags | libc::O_CLOEXEC, mode as libc::c_uint) };
    check(fd, &format!("open {}", path)).map(own)
}

/// Takes ownership of a descriptor that a system call has just returned.
pub fn own(fd: RawFd) -> OwnedFd {
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// A pipe, both ends close-on-exec: (read, write).
pub fn pipe() -> Result<(OwnedFd, OwnedFd), String> {
    let mut ends = [0; 2];
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }, "pipe2")?;
    Ok((own(ends[0]), own(ends[1])))
}

/// Writes all of `data` to a descriptor.
pub fn write_all(fd: &impl AsRawFd, data: &[u8], what: &str) -> Result<(), String> {
    let mut rest = data;
    while !rest.is_empty() {
        let n = unsafe { libc::write(fd.as_raw_fd(), rest.as_ptr().cast(), rest.len()) };
        if n < 0 {
            let error = Error::last_os_error();
            if error.kind() == std::io::ErrorKind::Interrupted {
                continue;
            }
            return Err(format!("write {}: {}", what, error));
        }
        rest = &rest[n as usize..];
    }
    Ok(())
}

/// Field 22 of /proc/PID/stat: start time in clock ticks since boot. With the pid it names a process for good.
pub fn start_time(pid: libc::pid_t) -> Result<u64, String> {
    let path = format!("/proc/{}/stat", pid);
    let stat = std::fs::read_to_string(&path).map_err(|error| format!("{}: {}", path, error))?;
    // The command name stands in parentheses and may hold anything, so count from the last one.
    let after_name = stat.rsplit(')').next().unwrap_or("");
    after_name
        .split_whitespace()
        .nth(19)
        .and_then(|field| field.parse().ok())
        .ok_or_else(|| format!("{}: no start time", path))
}
