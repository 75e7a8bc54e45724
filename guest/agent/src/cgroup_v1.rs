//! cgroup version 1: the same limits and numbers under their older names (kernel's admin-guide/cgroup-v1). Only a machine on the host meets it; the guest
//! of a VM has version 2.

use std::fs;
use std::os::unix::io::{AsRawFd, FromRawFd};

use serde_json::Value;

use crate::cgroup::{hierarchies, limit_number, place, read_number, read_table, write};
use crate::failure::{Context, Failure, Outcome};
use crate::{params, sys};

/// Every controller's directory of a new group; a group of version 1 is born without limits, and cpuset's without CPUs.
pub fn make(group: &str) -> Outcome<()> {
    for hierarchy in hierarchies() {
        let directory = hierarchy.join(group);
        fs::create_dir_all(&directory).context(|| format!("make cgroup {}", directory.display()))?;
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if let Ok(parents) = fs::read_to_string(directory.join("..").join(file)) {
                fs::write(directory.join(file), parents.trim()).context(|| format!("write {} of {}", file, directory.display()))?;
            }
        }
        // Kernels since 5.11 know nothing else.
        let _ = fs::write(directory.join("memory.use_hierarchy"), "1");
    }
    Ok(())
}

pub fn oom_kills(group: &str) -> u64 {
    read_table(group, "memory.oom_control").get("oom_kill").copied().unwrap_or(0)
}

/// Becomes readable when the group runs out of memory, which is before the kernel kills.
pub fn watch_oom(group: &str) -> std::io::Result<fs::File> {
    let fd = sys::check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
    let bell = unsafe { fs::File::from_raw_fd(fd) };
    let control = fs::File::open(place(group, "memory.oom_control"))?;
    let order = format!("{} {}", bell.as_raw_fd(), control.as_raw_fd());
    fs::write(place(group, "cgroup.event_control"), order)?;
    Ok(bell)
}

pub fn apply_memory(group: &str, memory: &Value) -> Outcome<()> {
    let limit = limit_number(memory, "limit")?;
    let swap = limit_number(memory, "swap")?;
    if let Some(limit) = limit {
        limit_memory(group, limit, swap)?;
    } else if let Some(swap) = swap {
        write(group, "memory.memsw.limit_in_bytes", &swap.to_string())?;
    }
    if let Some(low) = limit_number(memory, "reservation")? {
        write(group, "memory.soft_limit_in_bytes", &low.to_string())?;
    }
    Ok(())
}

/// Bytes; -1 for none. Memory and swap together may never be below memory alone, so it depends which of the two goes first.
pub fn limit_memory(group: &str, limit: i64, with_swap: Option<i64>) -> Outcome<()> {
    let set = |file: &str, value: i64| write(group, file, &value.to_string());
    let has_swap_limit = place(group, "memory.memsw.limit_in_bytes").exists();
    let with_swap = with_swap.unwrap_or(limit);
    if !has_swap_limit {
        return set("memory.limit_in_bytes", limit);
    }
    let grows = limit < 0 || limit as u64 > read_number(group, "memory.limit_in_bytes");
    if grows {
        set("memory.memsw.limit_in_bytes", with_swap)?;
    }
    set("memory.limit_in_bytes", limit)?;
    if grows {
        return Ok(());
    }
    set("memory.memsw.limit_in_bytes", with_swap)
}

pub fn apply_cpu(group: &str, cpu: &Value) -> Outcome<()> {
    if let Some(period) = params::optional_number(cpu, "period")?.filter(|period| *period > 0) {
        write(group, "cpu.cfs_period_us", &period.to_string())?;
    }
    if let Some(quota) = limit_number(cpu, "quota")? {
        write(group, "cpu.cfs_quota_us", &quota.to_string())?;
    }
    if let Some(shares) = params::optional_number(cpu, "shares")?.filter(|shares| *shares > 0) {
        write(group, "cpu.shares", &shares.to_string())?;
    }
    Ok(())
}

pub fn refuse_unified() -> Failure {
    Failure::new("Unsupported", "resources.unified: this host has cgroup version 1")
}
