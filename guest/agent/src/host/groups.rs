//! The control groups that a machine on the host sees: its own as the root of all, or the host's hierarchies whole, for a container whose group is in a place
//! of the host's (runtime-spec config-linux.md, "cgroupsPath").

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;

use crate::agent::Agent;
use crate::boot::{mount, NODEV};
use crate::failure::{Context, Failure, Outcome};
use crate::{cgroup, params, sys};

/// Version 2: the agent goes into a leaf, for a group with children has no processes of its own. Version 1 and hybrid: every hierarchy at the name crun looks
/// for, and nothing of version 2, where the controllers are not. `group` is what the machine's own is called in hierarchies that are seen whole. Gives what comes
/// before such names here: nothing, unless whoever gives them sees but a part.
pub fn mount_all(group: Option<&str>) -> Outcome<Option<String>> {
    let own = fs::read_to_string("/proc/self/cgroup").context(|| "read /proc/self/cgroup".into())?;
    let outside = group.map(|group| outside_of(&own, group)).transpose()?;
    if let (Some(outside), Some(group)) = (&outside, group) {
        cgroup::stand_at(&format!("{}{}", outside, group));
    }
    let hierarchies = version_1(&own);
    if hierarchies.is_empty() {
        mount("cgroup2", "/sys/fs/cgroup", NODEV, "")?;
        let leaf = cgroup::path(&cgroup::own()).join("agent");
        fs::create_dir(&leaf).context(|| "make the agent's cgroup".into())?;
        fs::write(leaf.join("cgroup.procs"), "0").context(|| "join the agent's cgroup".into())?;
    } else {
        cgroup::use_version_1();
        mount_version_1(&hierarchies)?;
    }
    cgroup::make_pod().map(|()| outside)
}

fn mount_version_1(hierarchies: &[&str]) -> Outcome<()> {
    mount("tmpfs", "/sys/fs/cgroup", NODEV, "mode=755,size=64k")?;
    for controllers in hierarchies {
        let directory = controllers.strip_prefix("name=").unwrap_or(controllers);
        let place = Path::new("/sys/fs/cgroup").join(directory);
        fs::create_dir(&place).context(|| format!("make {}", place.display()))?;
        let data = if directory == *controllers { controllers.to_string() } else { format!("none,{}", controllers) };
        sys::mount(Path::new("cgroup"), &place, "cgroup", NODEV, &data).context(|| format!("mount cgroup hierarchy {}", controllers))?;
        for name in directory.split(',').filter(|name| *name != directory) {
            symlink(directory, Path::new("/sys/fs/cgroup").join(name)).context(|| format!("name cgroup controller {}", name))?;
        }
    }
    Ok(())
}

/// Controllers and path of each group, from cgroups(7) `/proc/self/cgroup`.
fn groups(own: &str) -> impl Iterator<Item = (&str, &str)> {
    own.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'))
}

/// Controllers of each hierarchy of version 1.
fn version_1(own: &str) -> Vec<&str> {
    groups(own).map(|(controllers, _)| controllers).filter(|controllers| !controllers.is_empty()).collect()
}

/// What stands before `group` in the hierarchies that count; an error where the machine is not in that group in all of them.
fn outside_of(own: &str, group: &str) -> Outcome<String> {
    let is_hybrid = !version_1(own).is_empty();
    let mut paths = groups(own).filter(|(controllers, _)| !is_hybrid || !controllers.is_empty()).map(|(_, path)| path.strip_suffix(group));
    match paths.next().flatten() {
        Some(outside) if paths.all(|path| path == Some(outside)) => Ok(outside.into()),
        _ => Err(Failure::precondition(format!("control groups: {} is not in one place of all hierarchies", group))),
    }
}

impl Agent {
    /// Where a container's group is whose path is one of the host's. Unsupported where the machine does not see the host's.
    pub fn place_of(&self, request: &Value) -> Outcome<Option<String>> {
        let path = match params::optional_text(request, "cgroup") {
            Some(path) => path,
            None => return Ok(None),
        };
        let is_plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        if !path.strip_prefix('/').map_or(false, |path| path.split('/').all(is_plain)) {
            return Err(Failure::bad(format!("{:?} is no path of a control group", path)));
        }
        match self.host.as_ref().and_then(|host| host.outside.as_ref()) {
            Some(outside) => Ok(Some(format!("{}{}", outside, path).trim_start_matches('/').to_string())),
            None => Err(Failure::new("Unsupported", "this machine does not see the control groups of its host".to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{outside_of, version_1};

    #[test]
    fn a_hybrid_host_is_taken_for_version_1_and_a_unified_one_is_not() {
        assert_eq!(version_1("4:memory:/\n3:cpu,cpuacct:/a:b\n1:name=systemd:/\n0::/\n"), ["memory", "cpu,cpuacct", "name=systemd"]);
        assert!(version_1("0::/machine\n").is_empty());
    }

    #[test]
    fn whoever_names_a_group_may_see_but_a_part_of_the_hierarchies() {
        assert_eq!(outside_of("4:memory:/t/m\n1:name=systemd:/t/m\n0::/\n", "/t/m").unwrap(), "");
        assert_eq!(outside_of("4:memory:/docker/1/t/m\n1:pids:/docker/1/t/m\n0::/\n", "/t/m").unwrap(), "/docker/1");
        assert_eq!(outside_of("0::/t/m\n", "/t/m").unwrap(), "");
        assert!(outside_of("4:memory:/docker/1/t/m\n1:pids:/t/m\n0::/\n", "/t/m").is_err());
        assert!(outside_of("4:memory:/t/other\n", "/t/m").is_err());
    }
}
