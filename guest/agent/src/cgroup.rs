//! cgroup v2: limits, events and numbers of a container's group. Paths are below /sys/fs/cgroup.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::failure::{Context, Failure, Outcome};
use crate::{params, sys};

pub fn path(group: &str) -> PathBuf {
    Path::new("/sys/fs/cgroup").join(group)
}

pub fn write(group: &str, file: &str, value: &str) -> Outcome<()> {
    fs::write(path(group).join(file), value).context(|| format!("write {} to {} of cgroup {}", value, file, group))
}

pub fn read_number(group: &str, file: &str) -> u64 {
    fs::read_to_string(path(group).join(file)).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// A file of `name number` lines.
pub fn read_table(group: &str, file: &str) -> BTreeMap<String, u64> {
    let text = fs::read_to_string(path(group).join(file)).unwrap_or_default();
    let pair = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_string(), value.parse().ok()?))
    };
    text.lines().filter_map(pair).collect()
}

pub fn oom_kills(group: &str) -> u64 {
    read_table(group, "memory.events").get("oom_kill").copied().unwrap_or(0)
}

/// Processes of a group and of the groups below it.
pub fn processes(group: &Path) -> Vec<i32> {
    let own = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    let mut pids: Vec<i32> = own.lines().filter_map(|line| line.parse().ok()).collect();
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().map_or(false, |kind| kind.is_dir()) {
            pids.extend(processes(&entry.path()));
        }
    }
    pids
}

pub fn signal_all(group: &str, signal: i32) -> Outcome<()> {
    if signal == libc::SIGKILL {
        return match fs::write(path(group).join("cgroup.kill"), "1") {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other.context(|| format!("kill cgroup {}", group)),
        };
    }
    for pid in processes(&path(group)) {
        let _ = sys::signal(pid, signal);
    }
    Ok(())
}

/// Removes a group and those below it; an error while a process is left.
pub fn remove(group: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().map_or(false, |kind| kind.is_dir()) {
            remove(&entry.path())?;
        }
    }
    match fs::remove_dir(group) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Applies OCI `linux.resources` to a running container (runtime-spec config-linux.md). What has no meaning in cgroup v2 is refused by name.
pub fn apply(group: &str, resources: &Value) -> Outcome<()> {
    for (section, values) in resources.as_object().into_iter().flatten() {
        match section.as_str() {
            "memory" => apply_memory(group, values)?,
            "cpu" => apply_cpu(group, values)?,
            "pids" => write(group, "pids.max", &limit_text(values, "limit")?.unwrap_or_else(|| "max".into()))?,
            "unified" => {
                for (file, value) in values.as_object().into_iter().flatten() {
                    if file.contains('/') || file.starts_with("cgroup.") {
                        return Err(Failure::new("Invalid", format!("resources.unified: {} is no limit", file)));
                    }
                    write(group, file, value.as_str().unwrap_or_default())?;
                }
            }
            // Only ever set when a container starts.
            "devices" | "hugepageLimits" if values.as_array().map_or(true, Vec::is_empty) => {}
            other => return Err(Failure::new("Unsupported", format!("changing resources.{} of a running container", other))),
        }
    }
    Ok(())
}

fn apply_memory(group: &str, memory: &Value) -> Outcome<()> {
    let limit = limit_text(memory, "limit")?;
    if let Some(limit) = &limit {
        write(group, "memory.max", limit)?;
    }
    if let Some(low) = limit_text(memory, "reservation")? {
        write(group, "memory.low", &low)?;
    }
    if let Some(swap) = memory.get("swap").and_then(Value::as_i64) {
        // OCI counts memory and swap together, cgroup v2 swap alone; a guest without swap need not be told.
        let memory_limit = memory.get("limit").and_then(Value::as_i64).unwrap_or(0);
        let swap = if swap <= 0 { "max".to_string() } else { (swap - memory_limit).max(0).to_string() };
        let _ = write(group, "memory.swap.max", &swap);
    }
    Ok(())
}

fn apply_cpu(group: &str, cpu: &Value) -> Outcome<()> {
    let period = params::optional_number(cpu, "period")?;
    if cpu.get("quota").is_some() || period.is_some() {
        let quota = limit_text(cpu, "quota")?.unwrap_or_else(|| "max".into());
        write(group, "cpu.max", &format!("{} {}", quota, period.filter(|period| *period > 0).unwrap_or(100_000)))?;
    }
    if let Some(shares) = params::optional_number(cpu, "shares")?.filter(|shares| *shares > 0) {
        write(group, "cpu.weight", &weight_of_shares(shares).to_string())?;
    }
    for (name, file) in [("cpus", "cpuset.cpus"), ("mems", "cpuset.mems")] {
        if let Some(list) = params::optional_text(cpu, name).filter(|list| !list.is_empty()) {
            write(group, file, list)?;
        }
    }
    Ok(())
}

/// 2..262144 shares onto 1..10000, as crun and Kubernetes do (KEP-2254).
fn weight_of_shares(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

fn limit_text(values: &Value, name: &str) -> Outcome<Option<String>> {
    match values.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_i64() {
            Some(limit) if limit > 0 => Ok(Some(limit.to_string())),
            Some(_) => Ok(Some("max".into())),
            None => Err(Failure::bad(format!("resource {} must be a whole number", name))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::weight_of_shares;

    #[test]
    fn shares_become_weights() {
        assert_eq!((weight_of_shares(2), weight_of_shares(1024), weight_of_shares(262_144)), (1, 39, 10_000));
    }
}
