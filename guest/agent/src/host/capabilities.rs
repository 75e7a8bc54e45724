//! Capabilities that we have not ourselves cannot be given to a container: on a host that is itself confined, "all of them" means all of ours.

use std::fs;

use serde_json::Value;

/// By number, linux/capability.h.
const NAMES: [&str; 41] = [
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE",
    "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN",
    "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE",
    "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE",
];

/// Takes out of all sets of `process.capabilities` what we have not.
pub fn fit(process: &mut Value) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let (Some(own), Some(sets)) = (permitted(&status), process.get_mut("capabilities").and_then(Value::as_object_mut)) {
        for set in sets.values_mut().filter_map(Value::as_array_mut) {
            set.retain(|name| is_in(own, name.as_str().unwrap_or_default()));
        }
    }
}

/// None for a name that is unknown here.
pub fn number(name: &str) -> Option<u32> {
    let plain = name.strip_prefix("CAP_").unwrap_or(name);
    NAMES.iter().position(|known| *known == plain).map(|number| number as u32)
}

pub fn have(name: &str) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    permitted(&status).map_or(false, |own| is_in(own, name))
}

fn permitted(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapPrm:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// A name that is unknown here is crun's to judge.
fn is_in(own: u64, name: &str) -> bool {
    number(name).map_or(true, |number| own >> number & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_have_not_is_not_given() {
        let own = permitted("Name:\tx\nCapPrm:\t0000000000000021\n").unwrap();
        assert!(is_in(own, "CAP_CHOWN") && is_in(own, "CAP_KILL") && is_in(own, "CAP_FROM_THE_FUTURE"));
        assert!(!is_in(own, "CAP_SYS_ADMIN") && !is_in(own, "CAP_CHECKPOINT_RESTORE"));
        assert_eq!(number("CAP_SYS_ADMIN"), Some(21));
    }
}
