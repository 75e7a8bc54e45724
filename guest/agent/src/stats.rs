//! Numbers: cgroups, file systems, interfaces. Trees are walked on a worker, so that a full volume does not hold up the agent.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::{json, Value};

use crate::agent::Agent;
use crate::calls::{Answer, Caller};
use crate::failure::Outcome;
use crate::setup::SCRATCH;
use crate::volumes::VolumeKind;
use crate::{cgroup, sys};

impl Agent {
    pub fn stats(&mut self, caller: Caller) -> Outcome<Answer> {
        let groups: Vec<(String, String, PathBuf)> = self
            .containers
            .values()
            .filter(|container| container.pid != 0 && container.exec_of.is_none())
            .map(|container| (container.id.clone(), container.cgroup(), container.layer().join("upper")))
            .collect();
        let volumes: Vec<(String, PathBuf)> = self.volumes.iter().filter(|(_, volume)| volume.kind != VolumeKind::Share).map(|(id, volume)| (id.clone(), volume.path.clone())).collect();
        let (interface, is_host) = (self.sandbox.interface.clone(), self.host.is_some());
        self.workers.run(move || {
            let containers: Vec<Value> = groups.iter().map(|(id, group, layer)| container_usage(id, group, layer)).collect();
            let volumes: Vec<Value> = volumes.iter().map(|(id, path)| volume_usage(id, path)).collect();
            let stats = machine_usage(containers, volumes, interface, is_host);
            Box::new(move |agent: &mut Agent| agent.reply(caller, Ok(Answer::With(stats))))
        });
        Ok(Answer::Later)
    }
}

fn container_usage(id: &str, group: &str, layer: &Path) -> Value {
    let usage = cgroup::usage(group);
    let of = |name: &str| usage.get(name).copied().unwrap_or(0);
    let layer = walk(layer);
    json!({
        "id": id,
        "cpuNanos": of("cpu").to_string(),
        "memoryWorkingSetBytes": of("memory").saturating_sub(of("inactive_file")),
        "memoryUsageBytes": of("memory"),
        "memoryRssBytes": of("anon"),
        "pageFaults": of("pgfault"),
        "majorPageFaults": of("pgmajfault"),
        "pids": of("pids"),
        "rootfsUsedBytes": layer.bytes,
        "rootfsInodes": layer.inodes,
    })
}

fn volume_usage(id: &str, path: &Path) -> Value {
    let used = walk(path);
    json!({ "id": id, "usedBytes": used.bytes, "inodes": used.inodes })
}

/// Total and available. A VM's are its kernel's; a machine on the host has what its cgroup may take.
fn memory_of_machine(is_host: bool) -> (u64, u64) {
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = |name: &str| -> u64 {
        let line = memory.lines().find(|line| line.starts_with(name)).unwrap_or("");
        line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
    };
    let (total, available) = (kib("MemTotal:") * 1024, kib("MemAvailable:") * 1024);
    if !is_host {
        return (total, available);
    }
    let own = cgroup::own();
    let usage = cgroup::usage(&own);
    let of = |name: &str| usage.get(name).copied().unwrap_or(0);
    let limit = cgroup::memory_limit(&own).min(total);
    (limit, limit.saturating_sub(of("memory").saturating_sub(of("inactive_file"))))
}

fn machine_usage(containers: Vec<Value>, volumes: Vec<Value>, interface: Option<String>, is_host: bool) -> Value {
    let (total, available) = memory_of_machine(is_host);
    // A kernel counts for its root group by samples, for the others exactly.
    let cpu = |group: &str| cgroup::usage(group).get("cpu").copied().unwrap_or(0);
    let cpu_nanos = cpu(&cgroup::own()).max(cpu(&cgroup::pod()));
    let scratch = sys::space_of(Path::new(SCRATCH)).unwrap_or(sys::Space { total_bytes: 0, used_bytes: 0, inodes_used: 0 });
    let counter = |name: &str| -> String {
        let path = interface.as_ref().map(|interface| format!("/sys/class/net/{}/statistics/{}", interface, name));
        let text = path.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        text.trim().parse::<u64>().unwrap_or(0).to_string()
    };
    json!({
        "containers": containers,
        "memoryTotalBytes": total,
        "memoryAvailableBytes": available,
        "cpuNanos": cpu_nanos.to_string(),
        "scratch": { "totalBytes": scratch.total_bytes, "usedBytes": scratch.used_bytes, "inodesUsed": scratch.inodes_used },
        "volumes": volumes,
        "network": {
            "rxBytes": counter("rx_bytes"), "txBytes": counter("tx_bytes"),
            "rxErrors": counter("rx_errors"), "txErrors": counter("tx_errors"),
        },
    })
}

#[derive(Default)]
struct Usage {
    bytes: u64,
    inodes: u64,
}

/// What a tree takes on its own file system: blocks, not lengths; a file with several names counts once; links are not followed.
fn walk(root: &Path) -> Usage {
    let mut usage = Usage::default();
    let mut seen = BTreeSet::new();
    let device = fs::symlink_metadata(root).map(|meta| meta.dev()).unwrap_or(0);
    let mut waiting = vec![root.to_path_buf()];
    while let Some(path) = waiting.pop() {
        let meta = match fs::symlink_metadata(&path) {
            Ok(meta) if meta.dev() == device => meta,
            _ => continue,
        };
        if meta.nlink() > 1 && !meta.is_dir() && !seen.insert(meta.ino()) {
            continue;
        }
        usage.bytes += meta.blocks() * 512;
        usage.inodes += 1;
        if meta.is_dir() {
            waiting.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        }
    }
    usage
}

#[cfg(test)]
mod tests {
    use super::walk;
    use std::fs;

    #[test]
    fn a_file_with_two_names_counts_once() {
        let root = std::env::temp_dir().join(format!("sampan-walk-{}", std::process::id()));
        fs::create_dir(&root).unwrap();
        fs::write(root.join("a"), vec![1; 8192]).unwrap();
        fs::hard_link(root.join("a"), root.join("b")).unwrap();
        assert_eq!(walk(&root).inodes, 2);
        fs::remove_dir_all(&root).unwrap();
    }
}
