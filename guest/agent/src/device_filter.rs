//! The devices a container may use, where it is the usual set: one filter, checked by the kernel once before the freeze, tied to each container's
//! cgroup. Without it crun would have the kernel check an equal program for every container, which takes 10 ms in an emulated machine.
//!
//! The program is crun's own: it is taken from the cgroup of the warm-up container. What is not the usual set is left to crun.

use std::fs;
use std::io;
use std::os::unix::io::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

use serde_json::{json, Value};

use crate::sys;

const PROG_ATTACH: libc::c_int = 8;
const PROG_GET_FD_BY_ID: libc::c_int = 13;
const PROG_QUERY: libc::c_int = 16;
const CGROUP_DEVICE: u32 = 6;
/// Filters of groups above and below count as well.
const ALLOW_MULTI: u32 = 2;

/// What of `linux.resources.devices` was taken out of a spec, because it needs no crun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// Left in the spec.
    Other,
    /// Only what every container has (null, zero, random, tty, ...).
    Usual,
    /// Everything: no filter at all.
    All,
}

/// Takes rules out of a spec that are the usual ones.
pub fn take_rules(spec: &mut Value, have_filter: bool) -> Rules {
    let resources = match spec.pointer_mut("/linux/resources").and_then(Value::as_object_mut) {
        Some(resources) => resources,
        None => return Rules::Other,
    };
    let is = |allow: bool| resources.get("devices") == Some(&json!([{ "allow": allow, "access": "rwm" }]));
    let rules = match (is(false), is(true)) {
        (true, _) if have_filter => Rules::Usual,
        (_, true) => Rules::All,
        _ => return Rules::Other,
    };
    resources.remove("devices");
    rules
}

pub struct DeviceFilter(OwnedFd);

impl DeviceFilter {
    /// The filter that crun made for the cgroup.
    pub fn of(group: &Path) -> io::Result<DeviceFilter> {
        let group = fs::File::open(group)?;
        let mut ids = [0u32; 1];
        // struct bpf_attr, query: target_fd, attach_type, query_flags, attach_flags, prog_ids, prog_cnt
        let mut query = [group.as_raw_fd() as u64 | u64::from(CGROUP_DEVICE) << 32, 0, ids.as_mut_ptr() as u64, ids.len() as u64];
        bpf(PROG_QUERY, &mut query)?;
        // prog_id, next_id, open_flags
        let fd = bpf(PROG_GET_FD_BY_ID, &mut [u64::from(ids[0]), 0])?;
        Ok(DeviceFilter(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Makes the cgroup, which crun then finds, and ties the filter to it.
    pub fn attach(&self, group: &Path) -> io::Result<()> {
        match fs::create_dir(group) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let group = fs::File::open(group)?;
        // target_fd, attach_bpf_fd, attach_type, attach_flags, replace_bpf_fd
        let program = self.0.as_raw_fd() as u64;
        let mut attach = [group.as_raw_fd() as u64 | program << 32, u64::from(CGROUP_DEVICE) | u64::from(ALLOW_MULTI) << 32, 0];
        bpf(PROG_ATTACH, &mut attach).map(drop)
    }
}

fn bpf(command: libc::c_int, attribute: &mut [u64]) -> io::Result<RawFd> {
    let size = std::mem::size_of_val(attribute);
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command, attribute.as_mut_ptr(), size) };
    sys::check(answer as libc::c_int)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(devices: Value) -> Value {
        json!({ "linux": { "resources": { "devices": devices, "pids": { "limit": 5 } } } })
    }

    #[test]
    fn only_the_usual_rules_are_taken_out() {
        let mut usual = spec(json!([{ "allow": false, "access": "rwm" }]));
        assert_eq!(take_rules(&mut usual.clone(), false), Rules::Other, "without a filter of our own it is crun's to make");
        assert_eq!(take_rules(&mut usual, true), Rules::Usual);
        assert_eq!(usual, json!({ "linux": { "resources": { "pids": { "limit": 5 } } } }));
        assert_eq!(take_rules(&mut spec(json!([{ "allow": true, "access": "rwm" }])), true), Rules::All);
        let mut other = spec(json!([{ "allow": false, "access": "rwm" }, { "allow": true, "type": "c", "major": 10, "minor": 229, "access": "rwm" }]));
        let before = other.clone();
        assert_eq!(take_rules(&mut other, true), Rules::Other);
        assert_eq!(other, before);
        assert_eq!(take_rules(&mut json!({}), true), Rules::Other);
    }
}
