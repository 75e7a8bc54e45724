//! Loop devices: files as disks. Each clears itself away when the last mount and descriptor of it are gone, so a machine that dies leaves none.

use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::io::{AsRawFd, OwnedFd};
use std::path::PathBuf;

use crate::failure::{Context, Failure, Outcome};
use crate::sys;

const LOOP_CTL_GET_FREE: libc::c_ulong = 0x4C82;
const LOOP_CONFIGURE: libc::c_ulong = 0x4C0A;
const LO_FLAGS_READ_ONLY: u32 = 1;
const LO_FLAGS_AUTOCLEAR: u32 = 4;
/// Others look for a free device at the same time.
const TRIES: u32 = 200;

/// struct loop_config (linux/loop.h): fd, block size, struct loop_info64, reserved.
#[repr(C)]
struct Config {
    fd: u32,
    block_size: u32,
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
    reserved: [u64; 8],
}

/// A file as a block device; it is there as long as this is held, or mounted.
pub struct Loop {
    pub node: PathBuf,
    _device: fs::File,
}

/// Throws FailedPrecondition where the host has no loop devices to give.
pub fn attach(file: &OwnedFd, writable: bool) -> Outcome<Loop> {
    let control = fs::OpenOptions::new().read(true).write(true).custom_flags(libc::O_CLOEXEC).open("/dev/loop-control");
    let control = control.map_err(|error| Failure::precondition(format!("this host gives no loop devices: /dev/loop-control: {}", error)))?;
    let mut last = io::Error::from_raw_os_error(libc::EBUSY);
    for attempt in 0..TRIES {
        let number = sys::check(unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE as _) }).context(|| "find a free loop device".into())?;
        let node = PathBuf::from(format!("/dev/loop{}", number));
        match make_node(number, &node).and_then(|()| configure(&node, file, writable)) {
            Ok(device) => return Ok(Loop { node, _device: device }),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EBUSY) | Some(libc::ENXIO) | Some(libc::ENOENT)) => last = error,
            Err(error) => return Err(error).context(|| format!("tie a file to {}", node.display())),
        }
        std::thread::sleep(std::time::Duration::from_millis(u64::from(attempt / 10)));
    }
    Err(last).context(|| "find a loop device that nobody else takes".into())
}

/// In a /dev of our own (devices.rs) nobody else makes the node.
fn make_node(number: i32, node: &PathBuf) -> io::Result<()> {
    if node.exists() {
        return Ok(());
    }
    let numbers = fs::read_to_string(format!("/sys/block/loop{}/dev", number))?;
    let (major, minor) = numbers.trim().split_once(':').ok_or(io::ErrorKind::InvalidData)?;
    let parse = |text: &str| text.parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidData));
    super::devices::make(node, libc::S_IFBLK | 0o600, libc::makedev(parse(major)?, parse(minor)?))
}

fn configure(node: &PathBuf, file: &OwnedFd, writable: bool) -> io::Result<fs::File> {
    let device = fs::OpenOptions::new().read(true).write(writable).custom_flags(libc::O_CLOEXEC).open(node)?;
    let mut config: Config = unsafe { std::mem::zeroed() };
    config.fd = file.as_raw_fd() as u32;
    config.flags = LO_FLAGS_AUTOCLEAR | if writable { 0 } else { LO_FLAGS_READ_ONLY };
    sys::check(unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE as _, &config) })?;
    Ok(device)
}
