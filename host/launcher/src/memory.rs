//! Guest memory of a template: anonymous memory that every clone maps copy-on-write and none may change.
//!
//! A file would not do: QEMU opens its memory file for writing even where it maps it privately, and a VMM that was taken over
//! could then write into the memory of every other machine of the template. A sealed memfd may be opened and mapped privately, but no longer written.

use crate::sys;
use std::os::unix::io::{AsRawFd, OwnedFd};

pub fn create(bytes: u64) -> Result<OwnedFd, String> {
    let name = sys::c_string("sampan-template")?;
    let fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
    let fd = sys::own(sys::check(fd, "memfd_create")?);
    sys::check(
        unsafe { libc::ftruncate(fd.as_raw_fd(), bytes as libc::off_t) },
        &format!("guest memory of {} bytes", bytes),
    )?;
    Ok(fd)
}

/// Makes it unchangeable for good. Fails with EBUSY while anybody maps it shared: the VMM that filled it must have ended.
pub fn seal(fd: &OwnedFd) -> Result<(), String> {
    let seals = libc::F_SEAL_WRITE | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
    sys::check(
        unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_ADD_SEALS, seals) },
        "seal the template's memory",
    )
    .map(|_| ())
}

/// Sealed memory for as long as the template's directory is there.
pub struct Held {
    /// Never read: to hold it open is the purpose.
    _memory: OwnedFd,
    watch: OwnedFd,
}

impl Held {
    pub fn new(memory: OwnedFd, directory: &str) -> Result<Held, String> {
        let name = sys::c_string(directory)?;
        let watch = sys::own(sys::check(unsafe { libc::inotify_init1(libc::IN_CLOEXEC) }, "inotify_init1")?);
        let events = libc::IN_DELETE_SELF | libc::IN_MOVE_SELF | libc::IN_ONLYDIR;
        sys::check(
            unsafe { libc::inotify_add_watch(watch.as_raw_fd(), name.as_ptr(), events) },
            &format!("watch {}", directory),
        )?;
        Ok(Held { _memory: memory, watch })
    }

    /// The first event of any kind ends the wait: only the directory's own end is watched.
    pub fn until_directory_is_gone(&self) {
        let mut event = [0u8; 512];
        loop {
            let got = unsafe { libc::read(self.watch.as_raw_fd(), event.as_mut_ptr().cast(), event.len()) };
            if got >= 0 || std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
                return;
            }
        }
    }
}
