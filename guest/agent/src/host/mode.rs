//! What an agent on the host does otherwise than one in a VM: the kernel, its clock and its settings are the host's, and not the Pod's to touch.

use std::os::unix::io::OwnedFd;
use std::os::unix::net::UnixStream;

use crate::failure::{Context, Failure, Outcome};
use crate::agent::Agent;
use crate::host::gifts::Visitor;
use crate::host::{devices, gifts};

pub struct HostMode {
    /// The network namespace is the caller's: its settings are not the Pod's.
    pub host_network: bool,
    pub host_ipc: bool,
    /// Containers see, and are among, all processes of the host.
    pub host_pid: bool,
    /// The host's /dev.
    pub host_devices: OwnedFd,
    /// All of the host's devices have nodes in this machine's /dev.
    pub has_all_devices: bool,
    /// It sees the host's control groups whole: what stands before the names that the host's side has for them (groups.rs).
    pub outside: Option<String>,
    /// Connections of those who want to know when the machine ends, the newest first.
    pub watchers: Vec<UnixStream>,
}

const MOST_WATCHERS: usize = 16;

impl HostMode {
    /// Throws Unsupported for a sysctl that would change the host (kubelet's list of namespaced groups, pkg/kubelet/sysctl).
    pub fn check_sysctl(&self, name: &str) -> Outcome<()> {
        let name = name.replace('/', ".");
        let is_network = name.starts_with("net.");
        let is_ipc = ["kernel.shm", "kernel.msg", "fs.mqueue."].iter().any(|group| name.starts_with(group)) || name == "kernel.sem";
        if (is_network && !self.host_network) || (is_ipc && !self.host_ipc) {
            return Ok(());
        }
        let why = if is_network || is_ipc { "with the host's namespace it would change the host's" } else { "it is not namespaced" };
        Err(Failure::new("Unsupported", format!("sysctl {}: {}; a Pod of the runtime class vm has a kernel of its own", name, why)))
    }

    /// A privileged container sees the host's devices.
    pub fn want_all_devices(&mut self) -> Outcome<()> {
        if !self.has_all_devices {
            devices::copy_all(&self.host_devices).context(|| "make the host's devices known".into())?;
            self.has_all_devices = true;
        }
        Ok(())
    }
}

impl Agent {
    /// Somebody on the host hands over a file.
    pub fn take_gift(&mut self) {
        let listener = match &self.gifts {
            Some(listener) => listener,
            None => return,
        };
        let (gift, giver) = match gifts::receive(listener) {
            Ok(Visitor::Giver(gift, giver)) => (gift, giver),
            Ok(Visitor::Watcher(watcher)) => return self.keep_watcher(watcher),
            Err(error) => return crate::console::say(&format!("a gift was not taken: {}", error)),
        };
        let outcome = if gift.is_share {
            gifts::mount_share(&gift)
        } else {
            self.devices.given_disks().map(|disks| disks.take(gift));
            Ok(())
        };
        gifts::answer(giver, outcome);
    }

    fn keep_watcher(&mut self, watcher: UnixStream) {
        if let Some(host) = &mut self.host {
            host.watchers.truncate(MOST_WATCHERS - 1);
            host.watchers.insert(0, watcher);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::HostMode;

    #[test]
    fn only_sysctls_of_namespaces_that_are_the_pods_own_are_allowed() {
        let mode = |host_network, host_ipc| HostMode {
            host_network,
            host_ipc,
            host_pid: false,
            host_devices: std::fs::File::open("/").unwrap().into(),
            has_all_devices: false,
            outside: None,
            watchers: Vec::new(),
        };
        assert!(mode(false, false).check_sysctl("net.ipv4.ip_unprivileged_port_start").is_ok());
        assert!(mode(false, false).check_sysctl("kernel/shmmax").is_ok());
        assert!(mode(true, false).check_sysctl("net.ipv4.ip_forward").unwrap_err().message.contains("host's"));
        assert!(mode(false, true).check_sysctl("kernel.sem").is_err());
        assert!(mode(false, false).check_sysctl("kernel.panic").unwrap_err().message.contains("not namespaced"));
        assert!(mode(false, false).check_sysctl("kernel.semantics").is_err());
    }
}
