//! Opens in the host's namespaces what the VMM is to find, and puts it under the numbers it expects.

use crate::options::Give;
use crate::sys;
use crate::{memory, share, tap};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::io::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;

/// An open descriptor and the number under which the VMM finds it.
pub struct Open {
    pub target: RawFd,
    pub fd: OwnedFd,
}

/// Everything given to the VMM, and what a holder needs of it later.
#[derive(Default)]
pub struct Opened {
    pub all: Vec<Open>,
    pub spare_tap: Option<tap::SpareTap>,
    pub memory: Option<OwnedFd>,
    /// To be filled by the VMM's own process.
    pub copies: Vec<memory::Copy>,
    /// Servers to be started.
    pub shares: Vec<share::Server>,
}

/// `directory` is the machine's.
pub fn open_all(wanted: &[Give], directory: &str) -> Result<Opened, String> {
    let mut opened = Opened::default();
    for give in wanted {
        let fd = match give {
            Give::File { writable, path, .. } => file(path, *writable)?,
            Give::Listen { path, .. } => listen(path)?,
            Give::Tap { name, namespace, .. } => tap::open(name, namespace.as_deref())?,
            Give::SpareTap { .. } => {
                let spare = tap::SpareTap::create()?;
                let fd = duplicate(&spare.fd)?;
                opened.spare_tap = Some(spare);
                fd
            }
            Give::Memory { bytes, .. } => {
                let memory = memory::create(*bytes)?;
                let fd = duplicate(&memory)?;
                opened.memory = Some(memory);
                fd
            }
            Give::MemoryCopy { path, .. } => {
                let (fd, copy) = memory::Copy::prepare(path)?;
                opened.copies.push(copy);
                fd
            }
            Give::Share { writable, path, .. } => {
                let (fd, server) = share::prepare(directory, opened.shares.len(), path, *writable)?;
                opened.shares.push(server);
                fd
            }
        };
        opened.all.push(Open { target: give.fd(), fd });
    }
    Ok(opened)
}

/// A regular file or block device. Symbolic links are followed: /proc/PID/fd/N, which names a template's memory, is one.
pub fn file(path: &str, writable: bool) -> Result<OwnedFd, String> {
    sys::open(path, if writable { libc::O_RDWR } else { libc::O_RDONLY }, 0)
}

fn listen(path: &str) -> Result<OwnedFd, String> {
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path).map_err(|error| format!("listen on {}: {}", path, error))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .map_err(|error| format!("chmod {}: {}", path, error))?;
    Ok(sys::own(listener.into_raw_fd()))
}

pub fn duplicate(fd: &OwnedFd) -> Result<OwnedFd, String> {
    let copy = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3) };
    sys::check(copy, "duplicate a descriptor").map(sys::own)
}

/// First number above every target, so that moving descriptors cannot overwrite one that is still to be moved.
const PARKING: RawFd = 256;

/// Puts every descriptor under its target number and closes all others but 0-2 and `keep` (returned under its new number).
/// Runs in the child, after which nothing opens files any more.
pub fn arrange(all: Vec<Open>, keep: OwnedFd) -> Result<OwnedFd, String> {
    let mut targets = Vec::new();
    let mut parked = Vec::new();
    for open in all {
        let high = unsafe { libc::fcntl(open.fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, PARKING) };
        parked.push((sys::check(high, "park a descriptor")?, open.target));
        targets.push(open.target);
        // Dropping here could close a number that dup2 below has just filled; close_others does it instead.
        std::mem::forget(open.fd);
    }
    let kept = unsafe { libc::fcntl(keep.as_raw_fd(), libc::F_DUPFD_CLOEXEC, PARKING) };
    let kept = sys::check(kept, "park a descriptor")?;
    std::mem::forget(keep);
    for (high, target) in parked {
        // dup2 clears close-on-exec: these are the only descriptors that pass through exec.
        sys::check(unsafe { libc::dup2(high, target) }, "place a descriptor")?;
    }
    targets.push(kept);
    close_others(&mut targets);
    Ok(sys::own(kept))
}

fn close_others(keep: &mut [RawFd]) {
    keep.sort_unstable();
    let mut from = 3;
    for &fd in keep.iter() {
        close_range(from, fd - 1);
        from = fd + 1;
    }
    close_range(from, RawFd::MAX);
}

fn close_range(first: RawFd, last: RawFd) {
    if first > last {
        return;
    }
    let result = unsafe { libc::syscall(libc::SYS_close_range, first as libc::c_uint, last as libc::c_uint, 0) };
    if result != 0 {
        // Kernels before 5.9: one by one, as far as this process can have any.
        let limit = unsafe { libc::sysconf(libc::_SC_OPEN_MAX) }.clamp(256, 65_536) as RawFd;
        for fd in first..=last.min(limit) {
            unsafe { libc::close(fd) };
        }
    }
}
