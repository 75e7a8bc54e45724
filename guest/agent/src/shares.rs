//! Directories of the host, which the guest sees as virtiofs file systems: one mount a share, made when a volume first asks for it.
//!
//! Whoever reads a share waits for the host; so nothing here walks through one. Where the host's kernel is also the guest's, the host has put the
//! directory at the same place beforehand.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::io::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::failure::{Context, Failure, Outcome};
use crate::{params, sys};

const SHARES: &str = "/run/sampan/shares";
const DEVICES: &str = "/sys/bus/virtio/devices";
const TRANSPORT_DRIVER: &str = "/sys/bus/platform/drivers/virtio-mmio";
const SHARE_DRIVER: &str = "/sys/bus/virtio/drivers/virtiofs";

/// virtio specification 1.2, section 5: "file system device" and "PMEM device". The latter stands in a template where a clone may have a share.
const SHARE: &str = "0x001a";
const PLACEHOLDER: &str = "0x001b";

/// Whether this machine has a share, or its clones may have one: the modules are of no use to any other.
pub fn may_be_here() -> bool {
    !devices_of(SHARE).is_empty() || !devices_of(PLACEHOLDER).is_empty()
}

fn devices_of(id: &str) -> Vec<PathBuf> {
    let devices = fs::read_dir(DEVICES).into_iter().flatten().flatten().map(|entry| entry.path());
    devices.filter(|device| fs::read_to_string(device.join("device")).map_or(false, |found| found.trim() == id)).collect()
}

/// In a clone, what the kernel took for a placeholder when the template booted may be a share by now: it is made to look again.
fn look_again() -> std::io::Result<bool> {
    for device in devices_of(PLACEHOLDER) {
        let device = fs::canonicalize(device)?;
        let transport = device.parent().and_then(Path::file_name).unwrap_or_default();
        for action in ["unbind", "bind"] {
            fs::write(Path::new(TRANSPORT_DRIVER).join(action), transport.as_bytes())?;
        }
    }
    let fresh: Vec<PathBuf> = devices_of(SHARE).into_iter().filter(|device| !device.join("driver").exists()).collect();
    for device in &fresh {
        // Drivers of a template do not look for devices by themselves (disks.rs).
        fs::write(Path::new(SHARE_DRIVER).join("bind"), device.file_name().unwrap_or_default().as_bytes())?;
    }
    Ok(!fresh.is_empty())
}

/// Where the volume of this request stands: the share itself, or what was found at its subPath, held at `place` by a mount of its own.
/// `has_own_kernel`: the devices are the machine's, not the host's.
pub fn make_volume(request: &Value, place: &Path, has_own_kernel: bool) -> Outcome<PathBuf> {
    let root = mount(params::text(request, "tag")?, has_own_kernel)?;
    match params::optional_text(request, "subPath").filter(|path| !path.is_empty()) {
        None => Ok(root),
        Some(path) => pin(&root, Path::new(path), place).map(|()| place.to_path_buf()),
    }
}

fn mount(tag: &str, has_own_kernel: bool) -> Outcome<PathBuf> {
    let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if tag.is_empty() || tag.len() > 32 || !tag.chars().all(valid) {
        return Err(Failure::bad(format!("{:?} is no tag of a share", tag)));
    }
    let place = Path::new(SHARES).join(tag);
    if is_mount_point(&place) {
        return Ok(place);
    }
    fs::create_dir_all(&place).context(|| format!("make {}", place.display()))?;
    // Set-user-id programs may be part of a container's root; devices may not.
    let attach = || sys::mount(Path::new(tag), &place, "virtiofs", libc::MS_NODEV, "");
    let attached = match attach() {
        Err(error) if has_own_kernel && is_unknown(&error) && look_again().context(|| format!("look for share {}", tag))? => attach(),
        other => other,
    };
    attached.map_err(|error| match is_unknown(&error) {
        true => Failure::not_found(format!("this machine has no share {}", tag)),
        false => Failure::internal(format!("mount share {}: {}", tag, error)),
    })?;
    Ok(place)
}

/// A tag that no device has, or no driver for any.
fn is_unknown(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL) | Some(libc::ENODEV))
}

fn is_mount_point(place: &Path) -> bool {
    let device = |path: &Path| fs::metadata(path).map(|status| status.dev());
    match (device(place), device(Path::new(SHARES))) {
        (Ok(inside), Ok(outside)) => inside != outside,
        _ => false,
    }
}

/// Holds what stands at `path` in `root` by a mount at `place`: a link changed later leads nowhere new. The share is the root of every link.
pub fn pin(root: &Path, path: &Path, place: &Path) -> Outcome<()> {
    let found = open(root, path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Failure::not_found(format!("{:?} is not in the share", path)),
        _ => Failure::internal(format!("resolve {:?} in the share: {}", path, error)),
    })?;
    let source = PathBuf::from(format!("/proc/self/fd/{}", found.as_raw_fd()));
    let is_directory = fs::metadata(&source).context(|| format!("look at {:?} in the share", path))?.is_dir();
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent).context(|| format!("make {}", parent.display()))?;
    }
    let made = if is_directory { fs::create_dir_all(place) } else { fs::File::create(place).map(drop) };
    made.context(|| format!("make {}", place.display()))?;
    sys::bind_mount(&source, place).context(|| format!("mount {:?} of the share", path))
}

/// As a directory first: only that makes the kernel step over into what is mounted there.
fn open(root: &Path, path: &Path) -> std::io::Result<OwnedFd> {
    let root = fs::File::open(root)?;
    match sys::open_in_root(root.as_raw_fd(), path, libc::O_PATH | libc::O_DIRECTORY) {
        Err(error) if error.raw_os_error() == Some(libc::ENOTDIR) => sys::open_in_root(root.as_raw_fd(), path, libc::O_PATH),
        other => other,
    }
}
