//! Whether a container can be entered without crun, decided once, from its spec.

use serde_json::Value;

use crate::params;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Something about it is crun's to know.
    Crun,
    Plain,
    /// Behind the system call filter that crun left with its state.
    Filtered,
}

/// Of `linux`: what has no meaning for a process that joins, or is done by joining.
const KNOWN: [&str; 12] = [
    "cgroupsPath", "namespaces", "resources", "maskedPaths", "readonlyPaths", "rootfsPropagation", "mountLabel", "devices", "sysctl", "seccomp", "uidMappings",
    "gidMappings",
];
const NAMESPACES: [&str; 3] = ["pid", "mount", "cgroup"];

impl Door {
    /// `spec` is complete, its namespaces those that the container gets.
    pub fn of(spec: &Value) -> Door {
        let linux = &spec["linux"];
        let is_known = |(name, value): (&String, &Value)| value.is_null() || KNOWN.contains(&name.as_str());
        let is_joined = |namespace: &Value| NAMESPACES.contains(&params::optional_text(namespace, "type").unwrap_or(""));
        let for_crun = |name: &String| name.starts_with("run.oci.");
        let is_ordinary = linux.as_object().map_or(true, |linux| linux.iter().all(is_known))
            && params::list(linux, "namespaces").iter().all(is_joined)
            && spec["linux"]["mountLabel"].as_str().map_or(true, str::is_empty)
            && !spec["annotations"].as_object().map_or(false, |annotations| annotations.keys().any(for_crun));
        let seccomp = &linux["seccomp"];
        let has = |name: &str| seccomp.get(name).map_or(false, |value| !value.is_null());
        match (is_ordinary, seccomp.is_null()) {
            (true, true) => Door::Plain,
            (true, false) if !has("flags") && !has("listenerPath") => Door::Filtered,
            _ => Door::Crun,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_out_of_the_ordinary_is_left_to_crun() {
        let door = |linux: Value| Door::of(&json!({ "linux": linux }));
        assert_eq!(door(json!({ "namespaces": [{ "type": "pid", "path": "/proc/7/ns/pid" }, { "type": "mount" }], "resources": {} })), Door::Plain);
        assert_eq!(door(json!({ "seccomp": { "defaultAction": "SCMP_ACT_ERRNO" } })), Door::Filtered);
        assert_eq!(door(json!({ "seccomp": { "defaultAction": "SCMP_ACT_NOTIFY", "listenerPath": "/x" } })), Door::Crun);
        assert_eq!(door(json!({ "seccomp": { "flags": ["SECCOMP_FILTER_FLAG_LOG"] } })), Door::Crun);
        assert_eq!(door(json!({ "personality": { "domain": "LINUX32" } })), Door::Crun);
        assert_eq!(door(json!({ "namespaces": [{ "type": "time" }] })), Door::Crun);
        assert_eq!(door(json!({ "somethingNew": true })), Door::Crun);
        assert_eq!(Door::of(&json!({ "annotations": { "run.oci.keep_original_groups": "1" } })), Door::Crun);
        assert_eq!(Door::of(&json!({})), Door::Plain);
    }
}
