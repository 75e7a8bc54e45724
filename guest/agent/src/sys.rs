//! The system calls that std does not offer, each as a small safe function. Nothing here decides anything.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::io::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

pub fn c_string(text: impl AsRef<[u8]>) -> io::Result<CString> {
    CString::new(text.as_ref()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

pub fn c_path(path: &Path) -> io::Result<CString> {
    c_string(path.as_os_str().as_bytes())
}

/// Turns a libc answer of -1 into the error it stands for.
pub fn check(answer: libc::c_int) -> io::Result<libc::c_int> {
    if answer < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(answer)
    }
}

fn check_long(answer: libc::c_long) -> io::Result<libc::c_long> {
    if answer < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(answer)
    }
}

pub fn mount(source: &Path, target: &Path, kind: &str, flags: libc::c_ulong, data: &str) -> io::Result<()> {
    let (source, target, kind, data) = (c_path(source)?, c_path(target)?, c_string(kind)?, c_string(data)?);
    let answer = unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, data.as_ptr().cast()) };
    check(answer).map(drop)
}

pub fn bind_mount(source: &Path, target: &Path) -> io::Result<()> {
    mount(source, target, "", libc::MS_BIND | libc::MS_REC, "")
}

/// Lazily, so that a process which still stands in the mount does not hold the caller up.
pub fn unmount(target: &Path) -> io::Result<()> {
    let target = c_path(target)?;
    check(unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH | libc::UMOUNT_NOFOLLOW) }).map(drop)
}

/// What is mounted below goes here alone: where it is shared with the host, the host keeps it.
pub fn unmount_here(target: &Path) -> io::Result<()> {
    let _ = mount(Path::new(""), target, "", libc::MS_REC | libc::MS_PRIVATE, "");
    unmount(target)
}

pub fn load_module(image: &fs::File) -> io::Result<()> {
    let answer = unsafe { libc::syscall(libc::SYS_finit_module, image.as_raw_fd(), c_string("")?.as_ptr(), 0) };
    match check_long(answer) {
        // Already there; or it drives what this CPU does not have (crc32c-intel).
        Err(error) if matches!(error.raw_os_error(), Some(libc::EEXIST) | Some(libc::ENODEV)) => Ok(()),
        other => other.map(drop),
    }
}

pub fn set_nonblocking(fd: RawFd) -> io::Result<()> {
    let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
    check(unsafe { libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) }).map(drop)
}

/// Reading end and writing end, both closed on exec.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) })?;
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

pub fn read(fd: RawFd, buffer: &mut [u8]) -> io::Result<usize> {
    let got = unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) };
    if got < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(got as usize)
    }
}

pub fn write(fd: RawFd, data: &[u8]) -> io::Result<usize> {
    let put = unsafe { libc::write(fd, data.as_ptr().cast(), data.len()) };
    if put < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(put as usize)
    }
}

fn clock(id: libc::clockid_t) -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(id, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Nanoseconds since the epoch.
pub fn wall_nanos() -> u64 {
    clock(libc::CLOCK_REALTIME)
}

/// Nanoseconds since the kernel started.
pub fn monotonic_nanos() -> u64 {
    clock(libc::CLOCK_MONOTONIC)
}

pub fn set_wall_nanos(nanos: u64) -> io::Result<()> {
    let time = libc::timespec {
        tv_sec: (nanos / 1_000_000_000) as libc::time_t,
        tv_nsec: (nanos % 1_000_000_000) as libc::c_long,
    };
    check(unsafe { libc::clock_settime(libc::CLOCK_REALTIME, &time) }).map(drop)
}

pub fn would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

pub fn signal(pid: i32, signal: i32) -> io::Result<()> {
    check(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// Opens below a directory as if the directory were the root: no symbolic link or '..' leads out of it.
pub fn open_in_root(root: RawFd, path: &Path, flags: libc::c_int) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct OpenHow {
        flags: u64,
        mode: u64,
        resolve: u64,
    }
    const RESOLVE_NO_MAGICLINKS: u64 = 0x02;
    const RESOLVE_IN_ROOT: u64 = 0x10;
    let how = OpenHow {
        flags: (flags | libc::O_CLOEXEC) as u64,
        mode: 0,
        resolve: RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };
    let path = c_path(path)?;
    let size = std::mem::size_of::<OpenHow>();
    let fd = check_long(unsafe { libc::syscall(libc::SYS_openat2, root, path.as_ptr(), &how as *const OpenHow, size) })?;
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

pub fn chown(path: &Path, uid: u32, gid: u32) -> io::Result<()> {
    let path = c_path(path)?;
    check(unsafe { libc::lchown(path.as_ptr(), uid, gid) }).map(drop)
}

pub struct Space {
    pub total_bytes: u64,
    pub used_bytes: u64,
    pub inodes_used: u64,
}

pub fn space_of(path: &Path) -> io::Result<Space> {
    let path = c_path(path)?;
    let mut answer: libc::statvfs = unsafe { std::mem::zeroed() };
    check(unsafe { libc::statvfs(path.as_ptr(), &mut answer) })?;
    let unit = answer.f_frsize as u64;
    Ok(Space {
        total_bytes: answer.f_blocks as u64 * unit,
        used_bytes: (answer.f_blocks as u64).saturating_sub(answer.f_bfree as u64) * unit,
        inodes_used: (answer.f_files as u64).saturating_sub(answer.f_ffree as u64),
    })
}
