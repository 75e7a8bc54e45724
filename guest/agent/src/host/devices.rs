//! The machine's own /dev: what any Linux has and nothing of the host's, until a privileged container asks for all of it.

use std::fs;
use std::io;
use std::os::unix::fs::{symlink, FileTypeExt, MetadataExt};
use std::os::unix::io::{AsRawFd, OwnedFd};
use std::path::Path;

use crate::failure::{Context, Outcome};
use crate::sys;

/// Character devices, kernel's admin-guide/devices.txt.
const USUAL: [(&str, u32, u32, u32); 7] = [
    ("null", 1, 3, 0o666),
    ("zero", 1, 5, 0o666),
    ("full", 1, 7, 0o666),
    ("random", 1, 8, 0o666),
    ("urandom", 1, 9, 0o666),
    ("tty", 5, 0, 0o666),
    ("loop-control", 10, 237, 0o600),
];
/// Are the machine's own.
const NOT_COPIED: [&str; 3] = ["pts", "shm", "mqueue"];
const DEEPEST: u32 = 4;

pub fn make_usual() -> Outcome<()> {
    for (name, major, minor, mode) in USUAL {
        let path = Path::new("/dev").join(name);
        make(&path, libc::S_IFCHR | mode, libc::makedev(major, minor)).context(|| format!("make {}", path.display()))?;
    }
    for (name, target) in [("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"), ("stderr", "/proc/self/fd/2"), ("ptmx", "pts/ptmx")] {
        symlink(target, Path::new("/dev").join(name)).context(|| format!("make /dev/{}", name))?;
    }
    Ok(())
}

pub fn make(path: &Path, mode: u32, number: libc::dev_t) -> io::Result<()> {
    let name = sys::c_path(path)?;
    match sys::check(unsafe { libc::mknod(name.as_ptr(), mode, number) }) {
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => return Ok(()),
        other => other?,
    };
    // Whatever the umask says.
    sys::check(unsafe { libc::chmod(name.as_ptr(), mode & 0o7777) }).map(drop)
}

/// Nodes of all devices that the host's /dev has now; `host` is that directory.
pub fn copy_all(host: &OwnedFd) -> io::Result<()> {
    copy_tree(Path::new(&format!("/proc/self/fd/{}", host.as_raw_fd())), Path::new("/dev"), 0)
}

fn copy_tree(from: &Path, to: &Path, depth: u32) -> io::Result<()> {
    for entry in fs::read_dir(from)?.flatten() {
        let (name, source) = (entry.file_name(), entry.path());
        let (target, status) = (to.join(&name), fs::symlink_metadata(&source));
        let status = match status {
            Ok(status) if depth > 0 || !NOT_COPIED.iter().any(|own| name == **own) => status,
            _ => continue,
        };
        let kind = status.file_type();
        if kind.is_dir() && depth < DEEPEST {
            fs::create_dir_all(&target)?;
            copy_tree(&source, &target, depth + 1)?;
        } else if kind.is_char_device() || kind.is_block_device() {
            make(&target, status.mode(), status.rdev() as libc::dev_t)?;
        }
    }
    Ok(())
}
