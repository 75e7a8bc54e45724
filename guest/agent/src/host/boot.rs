//! The machine's own view, from inside its namespaces: the miniOS as root, its own /proc, /sys, /dev and cgroups. What boot.rs does in a VM, less what
//! belongs to a kernel: modules, driver probing, clock, entropy, tuning.

use std::fs;
use std::io;
use std::os::unix::io::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use super::gifts::{self, Disks, Gift};
use super::mode::HostMode;
use super::options::{Network, Options};
use super::{devices, groups, loops};
use crate::agent::Agent;
use crate::boot::{make_places, mount, NODEV};
use crate::channel::Channel;
use crate::disks::Devices;
use crate::failure::{Context, Failure, Outcome};
use crate::{net, sys};

/// What was opened on the host's side.
pub struct Parts {
    pub channel: UnixListener,
    pub gifts_listener: UnixListener,
    pub rootfs: OwnedFd,
    pub gifts: Vec<Gift>,
    pub host_devices: OwnedFd,
    pub mount_point: PathBuf,
}

pub fn boot(options: &Options, parts: Parts) -> Outcome<Agent> {
    sys::mount(Path::new(""), Path::new("/"), "", libc::MS_REC | libc::MS_PRIVATE, "").context(|| "make mounts private".into())?;
    enter_root(&parts)?;
    mount("proc", "/proc", NODEV, "")?;
    mount("sysfs", "/sys", NODEV, "")?;
    mount("tmpfs", "/dev", libc::MS_NOSUID, "mode=755,size=64k")?;
    devices::make_usual()?;
    make_places()?;
    let outside = groups::mount_all(options.group.as_deref())?;
    if options.network != Network::Host {
        net::bring_up("lo").context(|| "bring up lo".into())?;
    }
    let mut disks = Disks::new();
    for gift in parts.gifts {
        if gift.is_share {
            gifts::mount_share(&gift)?;
        } else {
            disks.take(gift);
        }
    }
    let mode = HostMode {
        host_network: options.network == Network::Host,
        host_ipc: options.host_ipc,
        host_pid: options.host_pid,
        host_devices: parts.host_devices,
        has_all_devices: false,
        outside,
        watchers: Vec::new(),
    };
    let mut agent = Agent::new(Devices::given(disks), Channel::listening(parts.channel))?;
    agent.host = Some(mode);
    agent.gifts = Some(parts.gifts_listener);
    agent.watch_own();
    Ok(agent)
}

/// pivot_root(2) onto itself: the host's tree ends up on top and is let go.
fn enter_root(parts: &Parts) -> Outcome<()> {
    let root = loops::attach(&parts.rootfs, false)?;
    let place = &parts.mount_point;
    let mounted = sys::mount(&root.node, place, "erofs", libc::MS_RDONLY | libc::MS_NODEV, "");
    mounted.map_err(|error| match error.raw_os_error() {
        Some(libc::ENODEV) => Failure::precondition("this host's kernel has no EROFS; the handler namespace needs it (modprobe erofs)"),
        _ => Failure::internal(format!("mount the miniOS: {}", error)),
    })?;
    let pivot = || -> io::Result<()> {
        std::env::set_current_dir(place)?;
        let here = sys::c_string(".")?;
        sys::check(unsafe { libc::syscall(libc::SYS_pivot_root, here.as_ptr(), here.as_ptr()) } as libc::c_int)?;
        sys::check(unsafe { libc::umount2(here.as_ptr(), libc::MNT_DETACH) })?;
        std::env::set_current_dir("/")
    };
    pivot().context(|| "enter the miniOS".into())
}
