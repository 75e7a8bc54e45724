//! Tap devices as descriptors.
//!
//! A VMM that is started before anybody knows which device its machine will get is given a *spare* tap: a descriptor that is tied
//! to a device of its own for as long as the VMM needs to look at it (it asks the kernel for its flags at start). The device is
//! then removed, and the descriptor tied to the real one when it is known: TUNSETIFF is legal again once the first device is gone.
//! What the VMM and its guest agreed on with the first device (how long the header before each frame is, what may be left to the
//! guest) belongs to the device, not to the descriptor, and is said again to the second: the VMM won't, its guest's driver being bound.
//! Between the two the descriptor is in error and a running VMM would spin on it: the VMM is stopped (SIGSTOP) meanwhile.

use crate::{descriptors, netlink, sys};
use std::os::unix::io::{AsRawFd, OwnedFd};

const TUNSETIFF: libc::c_ulong = 0x4004_54ca;
const TUNGETVNETHDRSZ: libc::c_ulong = 0x8004_54d7;
const TUNSETVNETHDRSZ: libc::c_ulong = 0x4004_54d8;
const TUNSETOFFLOAD: libc::c_ulong = 0x4004_54d0;
/// TUN_F_CSUM, TSO4, TSO6, TSO_ECN, UFO: what Linux' virtio_net takes of a device that offers all. It cannot be asked of a tap.
const OFFLOADS: libc::c_ulong = 0x1f;
const IFF_TAP: libc::c_short = 0x0002;
const IFF_NO_PI: libc::c_short = 0x1000;
const IFF_VNET_HDR: libc::c_short = 0x4000;

/// linux/if.h struct ifreq, as much of it as TUNSETIFF uses.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; libc::IFNAMSIZ],
    flags: libc::c_short,
    padding: [u8; 22],
}

/// Opens an existing tap device by name, in the network namespace of that path or in this process's own. A descriptor of
/// /dev/net/tun belongs to the namespace it was opened in.
pub fn open(name: &str, namespace: Option<&str>) -> Result<OwnedFd, String> {
    match namespace {
        None => open_here(name),
        Some(path) => {
            let own = sys::open("/proc/thread-self/ns/net", libc::O_RDONLY, 0)?;
            let other = sys::open(path, libc::O_RDONLY, 0)?;
            enter(&other, path)?;
            let opened = open_here(name);
            // Nothing that follows may happen in the wrong namespace.
            enter(&own, "the launcher's own")?;
            opened.map_err(|message| format!("{} ({})", message, path))
        }
    }
}

fn enter(namespace: &OwnedFd, name: &str) -> Result<(), String> {
    let result = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
    sys::check(result, &format!("enter the network namespace {}", name)).map(|_| ())
}

fn open_here(name: &str) -> Result<OwnedFd, String> {
    exists(name)?;
    let fd = open_tun()?;
    tie(&fd, name)?;
    Ok(fd)
}

pub struct SpareTap {
    pub fd: OwnedFd,
    /// The device it is tied to for now; None once that is removed.
    placeholder: Option<String>,
    /// Bytes of the header before each frame, read when the placeholder is removed; None as long as it is there.
    header: Option<libc::c_int>,
}

impl SpareTap {
    pub fn create() -> Result<SpareTap, String> {
        let fd = open_tun()?;
        let name = tie(&fd, "sptmp%d")?;
        Ok(SpareTap { fd, placeholder: Some(name), header: None })
    }

    /// Removes the placeholder device. The VMM must be stopped.
    pub fn loosen(&mut self) -> Result<(), String> {
        if let Some(name) = self.placeholder.take() {
            let mut header = 0;
            let result = unsafe { libc::ioctl(self.fd.as_raw_fd(), TUNGETVNETHDRSZ as _, &mut header) };
            sys::check(result, "read the header's size of the spare tap")?;
            self.header = Some(header);
            netlink::delete_link(&name)?;
        }
        Ok(())
    }

    /// Ties the descriptor, which the VMM shares, to the real device.
    pub fn tie(&mut self, name: &str) -> Result<(), String> {
        exists(name)?;
        self.loosen()?;
        tie(&self.fd, name)?;
        if let Some(header) = self.header {
            let fd = self.fd.as_raw_fd();
            let result = unsafe { libc::ioctl(fd, TUNSETVNETHDRSZ as _, &header) };
            sys::check(result, &format!("set the header's size of tap device {}", name))?;
            let result = unsafe { libc::ioctl(fd, TUNSETOFFLOAD as _, OFFLOADS) };
            sys::check(result, &format!("set the offloads of tap device {}", name))?;
        }
        Ok(())
    }
}

fn open_tun() -> Result<OwnedFd, String> {
    let fd = descriptors::file("/dev/net/tun", true)?;
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
    sys::check(
        unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) },
        "make the tap non-blocking",
    )?;
    Ok(fd)
}

/// TUNSETIFF makes a device that is not there; a tap the network did not make would be in no network.
fn exists(name: &str) -> Result<(), String> {
    let c_name = sys::c_string(name)?;
    if unsafe { libc::if_nametoindex(c_name.as_ptr()) } == 0 {
        return Err(format!("no tap device {} in this network namespace", name));
    }
    Ok(())
}

/// Returns the device's name as the kernel chose it (`%d` is filled in).
fn tie(fd: &OwnedFd, name: &str) -> Result<String, String> {
    if name.len() >= libc::IFNAMSIZ {
        return Err(format!("tap name {} is longer than 15 bytes", name));
    }
    let mut request = InterfaceRequest {
        name: [0; libc::IFNAMSIZ],
        flags: IFF_TAP | IFF_NO_PI | IFF_VNET_HDR,
        padding: [0; 22],
    };
    request.name[..name.len()].copy_from_slice(name.as_bytes());
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), TUNSETIFF as _, &mut request) };
    sys::check(result, &format!("open tap device {}", name))?;
    let end = request.name.iter().position(|&byte| byte == 0).unwrap_or(libc::IFNAMSIZ);
    Ok(String::from_utf8_lossy(&request.name[..end]).into_owned())
}
