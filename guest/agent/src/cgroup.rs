//! cgroups: limits, events and numbers of a container's group. Groups are named by their path below the root of the hierarchy. In a VM they are of version
//! 2; on a host that has version 1 the files of a controller lie in a tree of their own, and have the names of cgroup_v1.rs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Mutex;

use serde_json::Value;

use crate::failure::{Context, Failure, Outcome};
use crate::{cgroup_v1, params, sys};

const ROOT: &str = "/sys/fs/cgroup";
const KILL_ROUNDS: u32 = 100;
static IS_VERSION_1: AtomicBool = AtomicBool::new(false);
static OWN: Mutex<String> = Mutex::new(String::new());

/// Said once, at boot.
pub fn use_version_1() {
    IS_VERSION_1.store(true, Ordering::Relaxed);
}

fn is_version_1() -> bool {
    IS_VERSION_1.load(Ordering::Relaxed)
}

/// The machine sees the host's hierarchies whole, and this is its place in them. Said once, at boot.
pub fn stand_at(own: &str) {
    *OWN.lock().expect("nobody panics with it") = own.trim_matches('/').to_string();
}

/// The machine's group: empty where it is the root of all that the machine sees.
pub fn own() -> String {
    OWN.lock().expect("nobody panics with it").clone()
}

/// Containers live below it that have no place of their own; its limits are the Pod's.
pub fn pod() -> String {
    let own = own();
    if own.is_empty() {
        return "pod".into();
    }
    format!("{}/pod", own)
}

/// The Pod's group, with every controller there is for its children.
pub fn make_pod() -> Outcome<()> {
    let (own, pod) = (own(), pod());
    if is_version_1() {
        return cgroup_v1::make(&pod);
    }
    let has = fs::read_to_string(Path::new(ROOT).join(&own).join("cgroup.controllers")).context(|| "list cgroup controllers".into())?;
    let wanted = ["cpu", "memory", "pids", "io", "cpuset"].iter().filter(|name| has.split_whitespace().any(|given| given == **name));
    let controllers = wanted.map(|name| format!("+{}", name)).collect::<Vec<_>>().join(" ");
    fs::create_dir(path(&pod)).context(|| "make the Pod's cgroup".into())?;
    for group in [&own, &pod] {
        write(group, "cgroup.subtree_control", &controllers)?;
    }
    Ok(())
}

/// Where the processes of a group are listed.
pub fn path(group: &str) -> PathBuf {
    place(group, "memory")
}

/// Where a file of a group is; its name begins with its controller's.
pub fn place(group: &str, file: &str) -> PathBuf {
    if !is_version_1() {
        let directory = Path::new(ROOT).join(group);
        return if file.contains('.') { directory.join(file) } else { directory };
    }
    let (controller, is_file) = file.split_once('.').map_or((file, false), |(controller, _)| (controller, true));
    // cgroup.procs and cgroup.event_control are in every tree; memory's is the one that counts.
    let controller = if controller == "cgroup" { "memory" } else { controller };
    let directory = Path::new(ROOT).join(controller).join(group);
    if is_file {
        directory.join(file)
    } else {
        directory
    }
}

/// The roots of all trees.
pub fn hierarchies() -> Vec<PathBuf> {
    if !is_version_1() {
        return vec![PathBuf::from(ROOT)];
    }
    let entries = fs::read_dir(ROOT).into_iter().flatten().flatten();
    // A link is another name of a tree with two controllers.
    entries.filter(|entry| entry.file_type().map_or(false, |kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

pub fn write(group: &str, file: &str, value: &str) -> Outcome<()> {
    fs::write(place(group, file), value).context(|| format!("write {} to {} of cgroup {}", value, file, group))
}

pub fn read_number(group: &str, file: &str) -> u64 {
    fs::read_to_string(place(group, file)).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// A file of `name number` lines.
pub fn read_table(group: &str, file: &str) -> BTreeMap<String, u64> {
    let text = fs::read_to_string(place(group, file)).unwrap_or_default();
    let pair = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_string(), value.parse().ok()?))
    };
    text.lines().filter_map(pair).collect()
}

pub fn oom_kills(group: &str) -> u64 {
    if is_version_1() {
        return cgroup_v1::oom_kills(group);
    }
    read_table(group, "memory.events").get("oom_kill").copied().unwrap_or(0)
}

/// A file that tells by epoll when the group runs out of memory, and whether that is before the kernel has killed (version 1) or after.
pub fn watch_oom(group: &str) -> std::io::Result<(fs::File, bool)> {
    if is_version_1() {
        return cgroup_v1::watch_oom(group).map(|bell| (bell, true));
    }
    fs::File::open(place(group, "memory.events")).map(|file| (file, false))
}

/// What a group uses, by the names of this list: cpu (nanoseconds), memory, inactive_file, anon, pgfault, pgmajfault, pids.
pub fn usage(group: &str) -> BTreeMap<&'static str, u64> {
    let memory = read_table(group, "memory.stat");
    let of = |name: &str| memory.get(name).copied().unwrap_or(0);
    let mut usage = BTreeMap::from([("pids", read_number(group, "pids.current"))]);
    if is_version_1() {
        usage.extend([("cpu", read_number(group, "cpuacct.usage")), ("memory", read_number(group, "memory.usage_in_bytes"))]);
        usage.extend([("inactive_file", of("total_inactive_file")), ("anon", of("total_rss"))]);
        usage.extend([("pgfault", of("total_pgfault")), ("pgmajfault", of("total_pgmajfault"))]);
    } else {
        let micros = read_table(group, "cpu.stat").get("usage_usec").copied().unwrap_or(0);
        usage.extend([("cpu", micros * 1000), ("memory", read_number(group, "memory.current"))]);
        usage.extend(["inactive_file", "anon", "pgfault", "pgmajfault"].map(|name| (name, of(name))));
    }
    usage
}

/// Bytes; u64::MAX where there is none.
pub fn memory_limit(group: &str) -> u64 {
    let file = if is_version_1() { "memory.limit_in_bytes" } else { "memory.max" };
    fs::read_to_string(place(group, file)).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(u64::MAX)
}

pub fn limit_memory(group: &str, bytes: u64) -> Outcome<()> {
    if is_version_1() {
        return cgroup_v1::limit_memory(group, bytes as i64, None);
    }
    write(group, "memory.max", &bytes.to_string())
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
            Err(error) if error.kind() == std::io::ErrorKind::NotFound || is_version_1() => {
                kill_each(&path(group));
                Ok(())
            }
            other => other.context(|| format!("kill cgroup {}", group)),
        };
    }
    for pid in processes(&path(group)) {
        let _ = sys::signal(pid, signal);
    }
    Ok(())
}

/// For kernels without cgroup.kill, again and again while new processes appear.
fn kill_each(group: &Path) {
    let mut killed = BTreeSet::new();
    for _ in 0..KILL_ROUNDS {
        let fresh: Vec<i32> = processes(group).into_iter().filter(|pid| killed.insert(*pid)).collect();
        if fresh.is_empty() {
            return;
        }
        for pid in fresh {
            let _ = sys::signal(pid, libc::SIGKILL);
        }
    }
}

/// Removes a group from every tree; an error while a process is left.
pub fn remove_group(group: &str) -> std::io::Result<()> {
    hierarchies().iter().try_for_each(|hierarchy| remove(&hierarchy.join(group)))
}

/// Removes a group and those below it; an error while a process is left.
fn remove(group: &Path) -> std::io::Result<()> {
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
            "memory" if is_version_1() => cgroup_v1::apply_memory(group, values)?,
            "memory" => apply_memory(group, values)?,
            "cpu" => apply_cpu(group, values)?,
            "pids" => write(group, "pids.max", &limit_text(values, "limit")?.unwrap_or_else(|| "max".into()))?,
            "unified" if is_version_1() => return Err(cgroup_v1::refuse_unified()),
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
    if is_version_1() {
        cgroup_v1::apply_cpu(group, cpu)?;
        return apply_cpuset(group, cpu);
    }
    let period = params::optional_number(cpu, "period")?;
    if cpu.get("quota").is_some() || period.is_some() {
        let quota = limit_text(cpu, "quota")?.unwrap_or_else(|| "max".into());
        write(group, "cpu.max", &format!("{} {}", quota, period.filter(|period| *period > 0).unwrap_or(100_000)))?;
    }
    if let Some(shares) = params::optional_number(cpu, "shares")?.filter(|shares| *shares > 0) {
        write(group, "cpu.weight", &weight_of_shares(shares).to_string())?;
    }
    apply_cpuset(group, cpu)
}

fn apply_cpuset(group: &str, cpu: &Value) -> Outcome<()> {
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
    let text = |limit| if limit > 0 { format!("{}", limit) } else { "max".into() };
    Ok(limit_number(values, name)?.map(text))
}

/// -1 means none.
pub fn limit_number(values: &Value, name: &str) -> Outcome<Option<i64>> {
    match values.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_i64() {
            Some(limit) => Ok(Some(if limit > 0 { limit } else { -1 })),
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
