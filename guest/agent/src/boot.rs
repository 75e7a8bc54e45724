//! From the kernel's first breath to a frozen template: what happens before any host speaks to the agent.
//!
//!   initramfs: mount /proc /sys /dev, load modules, find the disk `root` ──▶ switch root ──▶ writable places, cgroups
//!   ──▶ learn the slots, unbind the spares ──▶ "ready" (the machine may be frozen here)

use std::fs;
use std::path::Path;

use crate::disks::Devices;
use crate::failure::{Context, Failure, Outcome};
use crate::net;
use crate::shares;
use crate::{cgroup, sys};
use crate::warm::warm_up;

const NEW_ROOT: &str = "/newroot";
pub const NODEV: libc::c_ulong = libc::MS_NODEV | libc::MS_NOSUID | libc::MS_NOEXEC;

/// Modules that only a machine with shares needs.
const OF_SHARES: [&str; 2] = ["fuse", "virtiofs"];

pub fn boot() -> Outcome<Devices> {
    mount_kernel_filesystems()?;
    load_modules()?;
    let mut devices = Devices::probe()?;
    let root = devices.node_of("root").ok_or_else(|| {
        Failure::not_found(format!("no disk with serial 'root' among the {} found", devices.count()))
    })?;
    switch_root(&root)?;
    make_places()?;
    make_cgroups()?;
    trim_kernel();
    net::bring_up("lo").context(|| "bring up lo".into())?;
    if let Ok(interface) = devices.interface() {
        net::prepare(interface)?;
    }
    warm_up();
    devices.unbind_spares()?;
    Ok(devices)
}

fn mount_kernel_filesystems() -> Outcome<()> {
    for (kind, target) in [("devtmpfs", "/dev"), ("proc", "/proc"), ("sysfs", "/sys")] {
        let _ = fs::create_dir(target);
        mount(kind, target, if kind == "devtmpfs" { libc::MS_NOSUID } else { NODEV }, "")?;
    }
    Ok(())
}

/// /modules/order lists the files of /modules, one a line, in the order in which they must be loaded.
fn load_modules() -> Outcome<()> {
    let order = fs::read_to_string("/modules/order").context(|| "read /modules/order".into())?;
    for name in order.lines() {
        // Known now: the bus's own driver comes first.
        if OF_SHARES.iter().any(|module| name.strip_suffix(".ko") == Some(module)) && !shares::may_be_here() {
            continue;
        }
        let path = Path::new("/modules").join(name);
        let image = fs::File::open(&path).context(|| format!("open kernel module {}", name))?;
        sys::load_module(&image).context(|| format!("load kernel module {}", name))?;
    }
    // The initramfs is memory that every clone would carry along.
    fs::remove_dir_all("/modules").context(|| "remove the modules from memory".into())
}

fn switch_root(disk: &Path) -> Outcome<()> {
    fs::create_dir_all(NEW_ROOT).context(|| "make the new root's mount point".into())?;
    sys::mount(disk, Path::new(NEW_ROOT), "erofs", libc::MS_RDONLY | libc::MS_NODEV, "")
        .context(|| format!("mount {} as root", disk.display()))?;
    for place in ["/dev", "/proc", "/sys"] {
        let target = format!("{}{}", NEW_ROOT, place);
        sys::mount(Path::new(place), Path::new(&target), "", libc::MS_MOVE, "").context(|| format!("move {}", place))?;
    }
    let _ = fs::remove_file("/init");
    std::env::set_current_dir(NEW_ROOT).context(|| "enter the new root".into())?;
    sys::mount(Path::new("."), Path::new("/"), "", libc::MS_MOVE, "").context(|| "move the new root".into())?;
    sys::check(unsafe { libc::chroot(b".\0".as_ptr().cast()) }).context(|| "change root".into())?;
    std::env::set_current_dir("/").context(|| "enter /".into())
}

/// Writable ones, for the agent and for containers.
pub fn make_places() -> Outcome<()> {
    mount("tmpfs", "/run", NODEV & !libc::MS_NOEXEC, "mode=755")?;
    mount("tmpfs", "/tmp", NODEV, "mode=1777")?;
    for (place, kind, data) in [("/dev/pts", "devpts", "ptmxmode=666,mode=620,gid=5"), ("/dev/mqueue", "mqueue", "")] {
        let _ = fs::create_dir(place);
        mount(kind, place, NODEV & !libc::MS_NODEV, data)?;
    }
    for place in ["image", "containers", "volumes", "etc", "shm", "scratch"] {
        let path = Path::new("/run/sampan").join(place);
        fs::create_dir_all(&path).context(|| format!("make {}", path.display()))?;
    }
    mount("tmpfs", "/run/sampan/shm", NODEV, "mode=1777,size=64m")?;
    sys::mount(Path::new(""), Path::new("/"), "", libc::MS_REC | libc::MS_PRIVATE, "").context(|| "make mounts private".into())
}

/// All containers live below /sys/fs/cgroup/pod, whose limits are the Pod's.
fn make_cgroups() -> Outcome<()> {
    mount("cgroup2", "/sys/fs/cgroup", NODEV, "memory_recursiveprot")?;
    cgroup::make_pod()
}

/// Best effort. Huge pages make a clone touch memory it would otherwise share with its template. Mounts, devices and namespaces wait for RCU again
/// and again: expedited grace periods take microseconds instead of timer ticks, and there are few CPUs here to disturb.
fn trim_kernel() {
    let _ = fs::write("/sys/kernel/rcu_expedited", "1");
    // It has done its part in seeding the generator: in a clone its thread would run at any odd moment, and the host sends fresh bytes anyway.
    let _ = fs::write("/sys/class/misc/hw_random/rng_current", "none");
    // What is left of ordinary grace periods need not be looked after at every tick.
    for name in ["jiffies_till_first_fqs", "jiffies_till_next_fqs"] {
        let _ = fs::write(Path::new("/sys/module/rcutree/parameters").join(name), "25");
    }
    let _ = fs::write("/sys/kernel/mm/transparent_hugepage/enabled", "madvise");
    let _ = fs::write("/proc/sys/kernel/printk", "4 4 1 4");
}

pub fn mount(kind: &str, target: &str, flags: libc::c_ulong, data: &str) -> Outcome<()> {
    sys::mount(Path::new(kind), Path::new(target), kind, flags, data).context(|| format!("mount {} on {}", kind, target))
}
