//! The machine's own view, from inside its namespaces: the miniOS as root, its own /proc, /sys, /dev and cgroups. What boot.rs does in a VM, less what
//! belongs to a kernel: modules, driver probing, clock, entropy, tuning.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::os::unix::io::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use super::gifts::{self, Disks, Gift};
use super::mode::HostMode;
use super::options::{Network, Options};
use super::{devices, loops};
use crate::agent::Agent;
use crate::boot::{make_places, mount, NODEV};
use crate::channel::Channel;
use crate::disks::Devices;
use crate::failure::{Context, Failure, Outcome};
use crate::{cgroup, net, sys};

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
    mount_cgroups()?;
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

/// The machine's cgroup is the root of what it sees. Version 2: the agent goes into a leaf, for a group with children has no processes of its own.
/// Version 1 and hybrid: every hierarchy of its own at the name crun looks for, and nothing of version 2, where the controllers are not.
fn mount_cgroups() -> Outcome<()> {
    let own = fs::read_to_string("/proc/self/cgroup").context(|| "read /proc/self/cgroup".into())?;
    let hierarchies = version_1(&own);
    if hierarchies.is_empty() {
        mount("cgroup2", "/sys/fs/cgroup", NODEV, "")?;
        fs::create_dir("/sys/fs/cgroup/agent").context(|| "make the agent's cgroup".into())?;
        fs::write("/sys/fs/cgroup/agent/cgroup.procs", "0").context(|| "join the agent's cgroup".into())?;
        return cgroup::make_pod();
    }
    cgroup::use_version_1();
    mount("tmpfs", "/sys/fs/cgroup", NODEV, "mode=755,size=64k")?;
    for controllers in hierarchies {
        let directory = controllers.strip_prefix("name=").unwrap_or(controllers);
        let place = Path::new("/sys/fs/cgroup").join(directory);
        fs::create_dir(&place).context(|| format!("make {}", place.display()))?;
        let data = if directory == controllers { controllers.to_string() } else { format!("none,{}", controllers) };
        sys::mount(Path::new("cgroup"), &place, "cgroup", NODEV, &data).context(|| format!("mount cgroup hierarchy {}", controllers))?;
        for name in directory.split(',').filter(|name| *name != directory) {
            symlink(directory, Path::new("/sys/fs/cgroup").join(name)).context(|| format!("name cgroup controller {}", name))?;
        }
    }
    cgroup::make_pod()
}

/// Controllers of each hierarchy of version 1, from cgroups(7) `/proc/self/cgroup`.
fn version_1(own: &str) -> Vec<&str> {
    own.lines().filter_map(|line| line.split(':').nth(1)).filter(|controllers| !controllers.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::version_1;

    #[test]
    fn a_hybrid_host_is_taken_for_version_1_and_a_unified_one_is_not() {
        assert_eq!(version_1("4:memory:/\n3:cpu,cpuacct:/a:b\n1:name=systemd:/\n0::/\n"), ["memory", "cpu,cpuacct", "name=systemd"]);
        assert!(version_1("0::/machine\n").is_empty());
    }
}
