//! Mounts of the host that machines see through a shared directory, made and taken away on request: one process serves them all, because starting
//! mount(8) and umount(8) for each step took longer than everything else a container's start does on the host.
//!
//!   share PATH           PATH becomes a mount point of shared propagation
//!   bind SOURCE TARGET ACCESS
//!                        the tree at SOURCE, with what is mounted in it, appears at TARGET and goes on to whoever follows the share; what the
//!                        host mounts below SOURCE later comes along, and nothing goes back. ACCESS: rw; r, read-only; rr, with all that is mounted in it
//!   release PATH         unmounts everything at and below PATH and removes it
//!
//! One request a line on stdin, fields separated by tabs, with %25, %09 and %0A for what cannot stand in a line; each is answered by one line,
//! `ok` or `error WORDS`. All may be repeated. It ends with its stdin.

use crate::sys::check;
use crate::{mount, serve};
use std::ffi::{CString, OsString};
use std::fs;
use std::io::BufRead;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::io::AsRawFd;
use std::path::{Path, PathBuf};

pub fn serve() -> Result<(), String> {
    // No directory is kept busy by us, and modes are as given.
    let _ = std::env::set_current_dir("/");
    unsafe { libc::umask(0) };
    for line in std::io::stdin().lock().split(b'\n') {
        let line = line.map_err(|error| format!("read a request: {}", error))?;
        let fields: Vec<PathBuf> = line.split(|byte| *byte == b'\t').map(decode).collect();
        match execute(&fields) {
            Ok(()) => serve::say("ok")?,
            Err(message) => serve::say(&format!("error {}", message.replace('\n', " ")))?,
        }
    }
    Ok(())
}

fn execute(fields: &[PathBuf]) -> Result<(), String> {
    let words: Vec<&Path> = fields.iter().map(PathBuf::as_path).collect();
    match words.as_slice() {
        [call, path] if call.as_os_str() == "share" => share(path),
        [call, source, target, access] if call.as_os_str() == "bind" => bind(source, target, &access.to_string_lossy()),
        [call, path] if call.as_os_str() == "release" => release(path),
        _ => Err("wanted share PATH, bind SOURCE TARGET ACCESS or release PATH".into()),
    }
}

fn decode(field: &[u8]) -> PathBuf {
    let mut decoded = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match (byte, code) {
            (b'%', Some(code)) => {
                decoded.push(code);
                rest = &after[2..];
            }
            _ => {
                decoded.push(byte);
                rest = after;
            }
        }
    }
    PathBuf::from(OsString::from_vec(decoded))
}

fn share(path: &Path) -> Result<(), String> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| format!("make {}: {}", path.display(), error))?;
    if is_mount_point(path)? {
        return Ok(());
    }
    // Private first: what is bound here is for those who follow this directory, and no mount of the host's.
    let tree = mount::open_tree(path)?;
    mount::set_attributes(&tree, 0, 0, libc::MS_PRIVATE)?;
    mount::set_attributes(&tree, 0, 0, libc::MS_SHARED)?;
    attach(&tree, path)
}

/// Its propagation is set while the tree has no name yet: there is no moment in which unmounting it would unmount the host's own.
fn bind(source: &Path, target: &Path, access: &str) -> Result<(), String> {
    let read_only = match access {
        "rw" => None,
        "r" => Some(0),
        "rr" => Some(mount::AT_RECURSIVE),
        _ => return Err(format!("{:?} is no access: wanted rw, r or rr", access)),
    };
    let tree = mount::open_tree(source)?;
    let is_directory = fs::metadata(format!("/proc/self/fd/{}", tree.as_raw_fd()))
        .map_err(|error| format!("{}: {}", source.display(), error))?
        .is_dir();
    make_place(target, is_directory).map_err(|error| format!("make {}: {}", target.display(), error))?;
    if is_mount_point(target)? {
        return Ok(());
    }
    mount::set_attributes(&tree, mount::AT_RECURSIVE, 0, libc::MS_SLAVE)?;
    mount::set_attributes(&tree, mount::AT_RECURSIVE, 0, libc::MS_SHARED)?;
    if let Some(depth) = read_only {
        mount::set_attributes(&tree, depth, mount::MOUNT_ATTR_RDONLY, 0)?;
    }
    attach(&tree, target)
}

fn make_place(target: &Path, is_directory: bool) -> std::io::Result<()> {
    let directory = if is_directory { Some(target) } else { target.parent() };
    if let Some(directory) = directory {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(directory)?;
    }
    // What is bound there already may be a device or a socket, which is not opened for that.
    if !is_directory && fs::symlink_metadata(target).is_err() {
        fs::OpenOptions::new().create_new(true).append(true).open(target)?;
    }
    Ok(())
}

fn attach(tree: &impl AsRawFd, target: &Path) -> Result<(), String> {
    let (place, empty) = (name_of(target)?, CString::default());
    let move_mount_f_empty_path = 0x04;
    let result = unsafe {
        libc::syscall(mount::SYS_MOVE_MOUNT, tree.as_raw_fd(), empty.as_ptr(), libc::AT_FDCWD, place.as_ptr(), move_mount_f_empty_path)
    };
    check(result as libc::c_int, &format!("mount on {}", target.display())).map(|_| ())
}

fn name_of(path: &Path) -> Result<CString, String> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| "a path holds a NUL byte".to_string())
}

fn is_mount_point(path: &Path) -> Result<bool, String> {
    const STATX_ATTR_MOUNT_ROOT: u64 = 0x2000;
    let name = name_of(path)?;
    let mut status: libc::statx = unsafe { std::mem::zeroed() };
    let result = unsafe { libc::statx(libc::AT_FDCWD, name.as_ptr(), libc::AT_SYMLINK_NOFOLLOW, 0, &mut status) };
    check(result, &format!("look at {}", path.display()))?;
    Ok(status.stx_attributes & STATX_ATTR_MOUNT_ROOT != 0)
}

fn release(path: &Path) -> Result<(), String> {
    // Deepest first: the list is in the order of mounting.
    for target in mounts_below(path)?.iter().rev() {
        let name = name_of(target)?;
        unsafe { libc::umount2(name.as_ptr(), libc::MNT_DETACH | libc::UMOUNT_NOFOLLOW) };
    }
    if let Some(left) = mounts_below(path)?.first() {
        return Err(format!("{} is still mounted; its files are left alone", left.display()));
    }
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(format!("remove {}: {}", path.display(), error)),
        _ => Ok(()),
    }
}

/// At or below, oldest first: field 5 of proc_pid_mountinfo(5), in which a blank is \040.
fn mounts_below(path: &Path) -> Result<Vec<PathBuf>, String> {
    let table = fs::read("/proc/self/mountinfo").map_err(|error| format!("/proc/self/mountinfo: {}", error))?;
    let targets = table.split(|byte| *byte == b'\n').filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    Ok(targets.map(without_escapes).filter(|target| target.starts_with(path)).collect())
}

fn without_escapes(field: &[u8]) -> PathBuf {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..3).and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        let escaped = code.filter(|_| byte == b'\\');
        plain.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { &after[3..] } else { after };
    }
    PathBuf::from(OsString::from_vec(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_what_cannot_stand_in_a_line_or_in_the_kernels_table_come_through() {
        assert_eq!(decode(b"/a%09b%0Ac%25d"), PathBuf::from("/a\tb\nc%d"));
        assert_eq!(decode(b"/100%"), PathBuf::from("/100%"));
        assert_eq!(without_escapes(br"/a\040b\134c"), PathBuf::from(r"/a b\c"));
    }

    #[test]
    fn what_it_does_not_know_is_refused() {
        assert!(execute(&[PathBuf::from("unshare"), PathBuf::from("/")]).is_err());
        assert!(execute(&[PathBuf::from("bind"), PathBuf::from("/")]).is_err());
        assert!(execute(&["bind", "/", "/no/such/place", "x"].map(PathBuf::from)).is_err());
    }
}
