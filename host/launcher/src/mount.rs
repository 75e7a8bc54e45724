//! A directory or file of the host appears in a share that is being served: the mount is made in the server's mount namespace and nowhere else,
//! so the host has nothing to take away again, whoever is killed when.
//!
//!   host: a detached copy of the tree (open_tree) ──▶ propagation, devices off, read-only ──▶ setns: the server's namespace ──▶ move_mount

use crate::sys::{self, c_string, check};
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::io::{AsRawFd, OwnedFd};
use std::path::Path;

#[derive(Debug, PartialEq)]
pub struct ShareMount {
    /// Process 1 of the server (DIRECTORY/shareN).
    pub server: libc::pid_t,
    /// Where in the share's root; a file or directory of this name is there.
    pub name: String,
    pub writable: bool,
    /// Where it is not: nor is what the host has mounted below it.
    pub deep: bool,
    /// What the host mounts below the source later appears too, where the host's mount has shared propagation.
    pub follows: bool,
    /// Links are followed.
    pub source: String,
}

const AT_EMPTY_PATH: libc::c_uint = 0x1000;
pub const AT_RECURSIVE: libc::c_uint = 0x8000;
pub const MOUNT_ATTR_RDONLY: u64 = 1;
const MOUNT_ATTR_NODEV: u64 = 4;
// The same numbers on every architecture.
const SYS_OPEN_TREE: libc::c_long = 428;
pub const SYS_MOVE_MOUNT: libc::c_long = 429;
const SYS_MOUNT_SETATTR: libc::c_long = 442;

/// `PID NAME r|rr|rw private|slave SOURCE`; `rr`: read-only with all that is mounted below.
pub fn parse(arguments: &[String]) -> Result<ShareMount, String> {
    let (server, name, access, propagation, source) = match arguments {
        [server, name, access, propagation, source] => (server, name, access.as_str(), propagation.as_str(), source),
        _ => return Err("mount wants PID NAME r|rr|rw private|slave SOURCE".into()),
    };
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || !name.chars().all(plain) {
        return Err(format!("{:?} is no name in a share", name));
    }
    if !source.starts_with('/') || !["r", "rr", "rw"].contains(&access) || !["private", "slave"].contains(&propagation) {
        return Err(format!("{:?} cannot be mounted {} and {}", source, access, propagation));
    }
    Ok(ShareMount {
        server: server.parse().map_err(|_| format!("{:?} is no process", server))?,
        name: name.clone(),
        writable: access == "rw",
        deep: access == "rr",
        follows: propagation == "slave",
        source: source.clone(),
    })
}

/// Idempotent: what is mounted under that name already stays.
pub fn mount(wanted: &ShareMount) -> Result<(), String> {
    let process = inner_process(wanted.server)?;
    let target = format!("/{}", wanted.name);
    if mounted(process, &target)? {
        return Ok(());
    }
    let tree = detached(wanted)?;
    let namespace = sys::open(&format!("/proc/{}/ns/mnt", process), libc::O_RDONLY, 0)?;
    // Its root, which is the share, becomes this process's root too.
    check(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNS) }, "enter the server's namespace")?;
    let place = sys::open(&target, libc::O_PATH | libc::O_NOFOLLOW, 0)?;
    let (empty, flags) = (c_string("")?, 0x04 | 0x40); // MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
    let result = unsafe {
        libc::syscall(SYS_MOVE_MOUNT, tree.as_raw_fd(), empty.as_ptr(), place.as_raw_fd(), empty.as_ptr(), flags)
    };
    check(result as libc::c_int, &format!("mount {} in the share", wanted.source)).map(|_| ())
}

/// virtiofsd shuts itself in by way of a child of its own.
fn inner_process(server: libc::pid_t) -> Result<libc::pid_t, String> {
    let path = format!("/proc/{}/task/{}/children", server, server);
    let children = fs::read_to_string(&path).map_err(|error| format!("{}: {}", path, error))?;
    Ok(children.split_whitespace().next().and_then(|child| child.parse().ok()).unwrap_or(server))
}

/// proc_pid_mountinfo(5): field 5 is the mount point below the process's own root.
fn mounted(process: libc::pid_t, target: &str) -> Result<bool, String> {
    let path = format!("/proc/{}/mountinfo", process);
    let table = fs::read_to_string(&path).map_err(|error| format!("{}: {}", path, error))?;
    Ok(table.lines().any(|line| line.split(' ').nth(4) == Some(target)))
}

/// The tree with all that is mounted in it, tied to the host only as far as asked for: it has no name yet, so there is no moment in which it is more.
fn detached(wanted: &ShareMount) -> Result<OwnedFd, String> {
    let tree = open_tree(Path::new(&wanted.source))?;
    let propagation = if wanted.follows { libc::MS_SLAVE } else { libc::MS_PRIVATE };
    set_attributes(&tree, AT_RECURSIVE, MOUNT_ATTR_NODEV, propagation)?;
    if !wanted.writable {
        set_attributes(&tree, if wanted.deep { AT_RECURSIVE } else { 0 }, MOUNT_ATTR_RDONLY, 0)?;
    }
    Ok(tree)
}

/// A copy of the tree at `path`, with all that is mounted in it, which nobody else sees.
pub fn open_tree(path: &Path) -> Result<OwnedFd, String> {
    const OPEN_TREE_CLONE: libc::c_uint = 1;
    let name = CString::new(path.as_os_str().as_bytes()).map_err(|_| "a path holds a NUL byte".to_string())?;
    let flags = OPEN_TREE_CLONE | AT_RECURSIVE | libc::O_CLOEXEC as libc::c_uint;
    let tree = unsafe { libc::syscall(SYS_OPEN_TREE, libc::AT_FDCWD, name.as_ptr(), flags) } as libc::c_int;
    check(tree, &format!("open {}", path.display())).map(sys::own)
}

pub fn set_attributes(tree: &OwnedFd, flags: libc::c_uint, set: u64, propagation: libc::c_ulong) -> Result<(), String> {
    // attr_set, attr_clr, propagation, userns_fd
    let attributes: [u64; 4] = [set, 0, propagation as u64, 0];
    let empty = c_string("")?;
    let size = std::mem::size_of_val(&attributes);
    let result = unsafe {
        libc::syscall(SYS_MOUNT_SETATTR, tree.as_raw_fd(), empty.as_ptr(), flags | AT_EMPTY_PATH, attributes.as_ptr(), size)
    };
    check(result as libc::c_int, "set a mount's attributes").map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_elsewhere_and_half_a_request_are_refused() {
        let parsed = |line: &str| parse(&line.split(' ').map(String::from).collect::<Vec<_>>());
        assert!(parsed("12 m0 r slave /srv").map_or(false, |mount| !mount.deep && !mount.writable));
        assert!(parsed("12 m0 rr private /srv").map_or(false, |mount| mount.deep && !mount.writable));
        assert!(parsed("12 ../m0 r slave /srv").is_err());
        assert!(parsed("12 m0 r slave srv").is_err());
        assert!(parsed("12 m0 r shared /srv").is_err());
        assert!(parsed("12 m0 r slave").is_err());
    }
}
