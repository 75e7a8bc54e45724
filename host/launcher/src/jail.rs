//! The VMM's view of the machine: empty network, own processes, a read-only root of the system's libraries and the VMM's own files. No shell, no
//! tools, no configuration, no home of anybody.

use crate::sys::{c_string, check};
use std::fs;
use std::os::unix::fs::{symlink, FileTypeExt, MetadataExt};
use std::path::Path;
use std::ptr::null;

/// What a dynamically linked program needs to start, and QEMU's firmware.
const SYSTEM: [&str; 8] = [
    "/usr/lib",
    "/usr/lib64",
    "/usr/lib32",
    "/usr/share/qemu",
    "/usr/share/seabios",
    "/lib",
    "/lib64",
    "/lib32",
];
const LOADER_FILES: [&str; 1] = ["/etc/ld.so.cache"];
const DEVICES: [&str; 2] = ["/dev/null", "/dev/urandom"];

/// Runs in the child (already process 1 of its own PID namespace). `place` is any directory: it is covered, in this namespace only.
pub fn enter(place: &str, program: &str, shows: &[String], devices: &[String]) -> Result<(), String> {
    let namespaces = libc::CLONE_NEWNS | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    check(unsafe { libc::unshare(namespaces) }, "unshare")?;
    mount(None, "/", None, libc::MS_REC | libc::MS_PRIVATE, None)?;
    let flags = libc::MS_NOSUID | libc::MS_NOEXEC;
    mount(Some("tmpfs"), place, Some("tmpfs"), flags, Some("size=64k,mode=755"))?;
    for path in SYSTEM.iter().copied().chain(shows.iter().map(String::as_str)) {
        show(place, path)?;
    }
    for path in LOADER_FILES {
        show(place, path)?;
    }
    if !Path::new(&format!("{}{}", place, program)).exists() {
        show(place, program)?;
    }
    for path in DEVICES.iter().copied().chain(devices.iter().map(String::as_str)) {
        copy_device(place, path)?;
    }
    mount_proc(place)?;
    pivot(place)?;
    let read_only = libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY | libc::MS_NOSUID | libc::MS_NOEXEC;
    mount(None, "/", None, read_only, None)
}

/// Shows a file or directory of the host under the same name, read-only; a symbolic link is copied; what is not there is left out.
fn show(place: &str, path: &str) -> Result<(), String> {
    let status = match fs::symlink_metadata(path) {
        Ok(status) => status,
        Err(_) => return Ok(()),
    };
    let inside = format!("{}{}", place, path);
    make_parent(&inside)?;
    if status.file_type().is_symlink() {
        let target = fs::read_link(path).map_err(|error| format!("{}: {}", path, error))?;
        return symlink(target, &inside).map_err(|error| format!("{}: {}", inside, error));
    }
    let made = if status.is_dir() { fs::create_dir_all(&inside) } else { fs::write(&inside, "") };
    made.map_err(|error| format!("{}: {}", inside, error))?;
    mount(Some(path), &inside, None, libc::MS_BIND, None)?;
    let flags = libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY | libc::MS_NOSUID | libc::MS_NODEV;
    mount(None, &inside, None, flags, None)
}

/// A node with the host's device number, open to the VMM alone: the host's own permissions need not be widened.
fn copy_device(place: &str, path: &str) -> Result<(), String> {
    let status = fs::metadata(path).map_err(|error| format!("{}: {}", path, error))?;
    if !status.file_type().is_char_device() {
        return Err(format!("{} is no character device", path));
    }
    let inside = format!("{}{}", place, path);
    make_parent(&inside)?;
    let name = c_string(&inside)?;
    let mode = libc::S_IFCHR | 0o666;
    check(unsafe { libc::mknod(name.as_ptr(), mode, status.rdev() as libc::dev_t) }, &format!("mknod {}", inside))?;
    check(unsafe { libc::chmod(name.as_ptr(), 0o666) }, &format!("chmod {}", inside)).map(|_| ())
}

/// /proc of the new PID namespace, reduced to processes where the kernel can (5.8): QEMU opens /proc/self/fd/N for its memory.
fn mount_proc(place: &str) -> Result<(), String> {
    let inside = format!("{}/proc", place);
    fs::create_dir_all(&inside).map_err(|error| format!("{}: {}", inside, error))?;
    let flags = libc::MS_NOSUID | libc::MS_NOEXEC | libc::MS_NODEV;
    mount(Some("proc"), &inside, Some("proc"), flags, Some("subset=pid"))
        .or_else(|_| mount(Some("proc"), &inside, Some("proc"), flags, None))
}

/// pivot_root(2) onto itself: the old root ends up on top and is let go.
fn pivot(place: &str) -> Result<(), String> {
    std::env::set_current_dir(place).map_err(|error| format!("{}: {}", place, error))?;
    let here = c_string(".")?;
    let result = unsafe { libc::syscall(libc::SYS_pivot_root, here.as_ptr(), here.as_ptr()) };
    check(result as libc::c_int, "pivot_root")?;
    check(unsafe { libc::umount2(here.as_ptr(), libc::MNT_DETACH) }, "let go of the old root")?;
    std::env::set_current_dir("/").map_err(|error| format!("/: {}", error))
}

fn make_parent(path: &str) -> Result<(), String> {
    match Path::new(path).parent() {
        Some(parent) => fs::create_dir_all(parent).map_err(|error| format!("{}: {}", parent.display(), error)),
        None => Ok(()),
    }
}

pub fn mount(source: Option<&str>, target: &str, kind: Option<&str>, flags: libc::c_ulong, data: Option<&str>) -> Result<(), String> {
    let source = source.map(c_string).transpose()?;
    let name = c_string(target)?;
    let kind = kind.map(c_string).transpose()?;
    let data = data.map(c_string).transpose()?;
    let result = unsafe {
        libc::mount(
            source.as_ref().map_or(null(), |text| text.as_ptr()),
            name.as_ptr(),
            kind.as_ref().map_or(null(), |text| text.as_ptr()),
            flags,
            data.as_ref().map_or(null(), |text| text.as_ptr().cast()),
        )
    };
    check(result, &format!("mount {}", target)).map(|_| ())
}
