//! Guest memory of a template: anonymous memory that every clone maps copy-on-write and none may change.
//!
//! A file would not do: QEMU opens its memory file for writing even where it maps it privately, and a VMM that was taken over
//! could then write into the memory of every other machine of the template. A sealed memfd may be opened and mapped privately, but no longer written.

use crate::{descriptors, sys};
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

/// Memory that is to have the content of a template's, for one machine alone: what serves its shares reads and writes it too, and so no page of
/// it may be another machine's.
pub struct Copy {
    source: OwnedFd,
    target: OwnedFd,
    size: libc::off_t,
}

impl Copy {
    /// Empty still; with another descriptor of the memory.
    pub fn prepare(path: &str) -> Result<(OwnedFd, Copy), String> {
        let source = sys::open(path, libc::O_RDONLY, 0)?;
        let size = check_offset(unsafe { libc::lseek(source.as_raw_fd(), 0, libc::SEEK_END) }, "measure the template's memory")?;
        let target = create(size as u64)?;
        Ok((descriptors::duplicate(&target)?, Copy { source, target, size }))
    }

    /// Pages that were never touched stay holes. The memory counts for whoever calls this.
    pub fn fill(&self) -> Result<(), String> {
        let mut from = 0;
        while let Some(start) = seek(&self.source, from, libc::SEEK_DATA)? {
            from = seek(&self.source, start, libc::SEEK_HOLE)?.unwrap_or(self.size);
            copy_range(&self.source, &self.target, start, from)?;
        }
        Ok(())
    }
}

fn copy_range(source: &OwnedFd, target: &OwnedFd, start: libc::off_t, end: libc::off_t) -> Result<(), String> {
    let length = (end - start) as usize;
    let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
    let mapped = unsafe { libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ, flags, source.as_raw_fd(), start) };
    if mapped == libc::MAP_FAILED {
        return Err(format!("map the template's memory: {}", std::io::Error::last_os_error()));
    }
    let mut done = 0;
    let mut outcome = Ok(());
    while done < length && outcome.is_ok() {
        let (piece, offset) = (unsafe { mapped.cast::<u8>().add(done) }, start + done as libc::off_t);
        let written = unsafe { libc::pwrite(target.as_raw_fd(), piece.cast(), length - done, offset) };
        match check_offset(written as libc::off_t, "copy the template's memory") {
            Ok(written) => done += written as usize,
            Err(_) if std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted => {}
            Err(message) => outcome = Err(message),
        }
    }
    unsafe { libc::munmap(mapped, length) };
    outcome
}

/// Where data or a hole begins from `offset` on; none after the last data.
fn seek(file: &OwnedFd, offset: libc::off_t, what: libc::c_int) -> Result<Option<libc::off_t>, String> {
    match unsafe { libc::lseek(file.as_raw_fd(), offset, what) } {
        found if found >= 0 => Ok(Some(found)),
        _ if std::io::Error::last_os_error().raw_os_error() == Some(libc::ENXIO) => Ok(None),
        failed => check_offset(failed, "look through the template's memory").map(Some),
    }
}

fn check_offset(result: libc::off_t, what: &str) -> Result<libc::off_t, String> {
    match result {
        0.. => Ok(result),
        _ => Err(format!("{}: {}", what, std::io::Error::last_os_error())),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_the_content_the_holes_and_nothing_of_the_memory_it_came_from() {
        let source = create(1 << 24).unwrap();
        for (offset, byte) in [(0, 1u8), (1 << 20, 2), ((1 << 24) - 1, 3)] {
            assert_eq!(unsafe { libc::pwrite(source.as_raw_fd(), [byte].as_ptr().cast(), 1, offset) }, 1);
        }
        seal(&source).unwrap();
        let path = format!("/proc/self/fd/{}", source.as_raw_fd());
        let (copied, copy) = Copy::prepare(&path).unwrap();
        copy.fill().unwrap();
        let contents = |fd: &OwnedFd| std::fs::read(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap();
        assert!(contents(&copied) == contents(&source));
        let mut status: libc::stat = unsafe { std::mem::zeroed() };
        assert_eq!(unsafe { libc::fstat(copied.as_raw_fd(), &mut status) }, 0);
        assert!(status.st_blocks * 512 <= 4 * 2 * 4096, "{} blocks", status.st_blocks);
        assert_eq!(unsafe { libc::pwrite(copied.as_raw_fd(), [9u8].as_ptr().cast(), 1, 0) }, 1);
        assert_eq!(contents(&source)[0], 1);
    }
}
