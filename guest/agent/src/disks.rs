//! The virtio devices of the machine: which disk stands in which slot, and which have their driver bound.
//!
//! A template is frozen with most drivers unbound, so that every clone's probe reads the clone's own backend. `Devices` remembers
//! which bus device is which slot; that does not change between clones. What every Pod has stays bound, which spares each clone the
//! probes: the network device, whose MAC `setup` sets, and two disks, if they have a size: one at least that of any disk to come, for a driver
//! asks for the size only when it probes. File systems know their own size, and what is read beyond the real disk's end is an error of the disk.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::io::AsRawFd;
use std::path::{Path, PathBuf};

use crate::failure::{Context, Failure, Outcome};
use crate::host::gifts::Disks;
use crate::sys;

const BUS: &str = "/sys/bus/virtio";
const BLOCK_DRIVER: &str = "/sys/bus/virtio/drivers/virtio_blk";
const NET_DRIVER: &str = "/sys/bus/virtio/drivers/virtio_net";

#[derive(Default)]
pub struct Devices {
    /// In a machine on the host, whose disks are files that it was given.
    given: Option<Disks>,
    /// Slot name (the disk's serial) to bus device (`virtio3`).
    slots: BTreeMap<String, String>,
    interface: Option<String>,
    /// `/dev/vdX` of the slots known to be bound: looking it up walks through sysfs.
    nodes: BTreeMap<String, PathBuf>,
}

/// Disks that every Pod has.
const USUAL: [&str; 2] = ["scratch", "image0"];

impl Devices {
    /// Reads the serial of every disk that is bound now.
    pub fn probe() -> Outcome<Devices> {
        let mut devices = Devices::default();
        for entry in fs::read_dir("/sys/block").context(|| "list /sys/block".into())?.flatten() {
            let serial = fs::read_to_string(entry.path().join("serial")).unwrap_or_default();
            let device = fs::read_link(entry.path().join("device")).unwrap_or_default();
            let name = device.file_name().map(|name| name.to_string_lossy().into_owned());
            if let (false, Some(name)) = (serial.trim().is_empty(), name) {
                devices.slots.insert(serial.trim().to_string(), name);
            }
        }
        let nic = names_in(NET_DRIVER).into_iter().next();
        devices.interface = nic.and_then(|nic| first_name(&Path::new(BUS).join("devices").join(nic).join("net")));
        Ok(devices)
    }

    pub fn given(disks: Disks) -> Devices {
        Devices { given: Some(disks), ..Devices::default() }
    }

    pub fn given_disks(&mut self) -> Option<&mut Disks> {
        self.given.as_mut()
    }

    /// `/dev/vdX` of a slot whose driver is bound.
    pub fn node_of(&self, slot: &str) -> Option<PathBuf> {
        if let Some(node) = self.nodes.get(slot) {
            return Some(node.clone());
        }
        let device = self.slots.get(slot)?;
        let name = first_name(&Path::new(BUS).join("devices").join(device).join("block"))?;
        Some(Path::new("/dev").join(name))
    }

    /// Binds the driver of a slot, if it is not bound yet, and says where the disk is.
    pub fn bind_disk(&mut self, slot: &str) -> Outcome<PathBuf> {
        if let Some(disks) = &mut self.given {
            return disks.bind(slot);
        }
        if let Some(node) = self.node_of(slot) {
            return Ok(node);
        }
        let device = self.slots.get(slot).ok_or_else(|| Failure::not_found(format!("this machine has no disk slot {}", slot)))?;
        fs::write(Path::new(BLOCK_DRIVER).join("bind"), device).context(|| format!("bind disk slot {}", slot))?;
        let node = self.node_of(slot);
        let node = node.ok_or_else(|| Failure::internal(format!("disk slot {} was bound but has no block device", slot)))?;
        self.nodes.insert(slot.to_string(), node.clone());
        Ok(node)
    }

    /// Name of the network interface.
    pub fn interface(&self) -> Outcome<&str> {
        self.interface.as_deref().ok_or_else(|| Failure::not_found("this machine has no network device"))
    }

    fn stays_bound(&self, slot: &str) -> bool {
        slot == "root" || (USUAL.contains(&slot) && self.node_of(slot).map_or(false, |node| size_of(&node) > 0))
    }

    /// Lets go of all devices but those that stay bound, and keeps the kernel from binding by itself.
    pub fn unbind_spares(&mut self) -> Outcome<()> {
        fs::write(Path::new(BUS).join("drivers_autoprobe"), "0").context(|| "stop driver probing".into())?;
        let spares = self.slots.iter().filter(|(slot, _)| !self.stays_bound(slot));
        for (slot, device) in spares {
            fs::write(Path::new(BLOCK_DRIVER).join("unbind"), device).context(|| format!("unbind disk slot {}", slot))?;
        }
        self.nodes = self.slots.keys().filter_map(|slot| Some((slot.clone(), self.node_of(slot)?))).collect();
        Ok(())
    }

    /// Lets go of all disks that are bound now but the root disk. Those that every Pod has stay bound, as in a template, once nothing that was read of
    /// them is kept: to probe them anew is a third of what is left of a start after a rehearsal.
    pub fn forget_disks(&mut self) -> Outcome<()> {
        self.nodes.clear();
        let bound: Vec<(String, PathBuf)> = self.slots.keys().filter_map(|slot| Some((slot.clone(), self.node_of(slot)?))).collect();
        for (slot, node) in bound {
            if slot == "root" || (self.stays_bound(&slot) && forget_content(&node).is_ok()) {
                self.nodes.insert(slot, node);
                continue;
            }
            let device = &self.slots[&slot];
            fs::write(Path::new(BLOCK_DRIVER).join("unbind"), device).context(|| format!("unbind disk slot {}", slot))?;
        }
        Ok(())
    }

    pub fn count(&self) -> usize {
        self.slots.len()
    }
}

/// Drops what the kernel has cached of a disk. An error (EBUSY) while a file system stands on it: lazily unmounted, it may take a moment to go.
fn forget_content(node: &Path) -> io::Result<()> {
    const BLKFLSBUF: libc::c_ulong = 0x1261;
    let disk = fs::OpenOptions::new().read(true).custom_flags(libc::O_EXCL).open(node)?;
    sys::check(unsafe { libc::ioctl(disk.as_raw_fd(), BLKFLSBUF as _, 0) }).map(drop)
}

/// In sectors.
fn size_of(node: &Path) -> u64 {
    let name = node.file_name().unwrap_or_default();
    let size = fs::read_to_string(Path::new("/sys/block").join(name).join("size")).unwrap_or_default();
    size.trim().parse().unwrap_or(0)
}

fn names_in(directory: &str) -> Vec<String> {
    let entries: io::Result<fs::ReadDir> = fs::read_dir(directory);
    let names = entries.into_iter().flatten().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("virtio")).collect()
}

fn first_name(directory: &Path) -> Option<String> {
    Some(fs::read_dir(directory).ok()?.flatten().next()?.file_name().to_string_lossy().into_owned())
}
