//! Kernel modules that few containers need: they lie in the miniOS, and are loaded for the first container that could use them. No template carries them.
//! Only where the kernel is the machine's own: a host loads its modules itself.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

use serde_json::Value;

use crate::failure::{Context, Outcome};
use crate::{params, sys};

/// A directory for each group, with its modules and the file `order` (guest/modules-later).
const PLACE: &str = "/usr/lib/modules";

static LOADED: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// What a container of this spec could use.
pub fn load_for(spec: &Value) -> Outcome<()> {
    for group in groups(spec) {
        let mut loaded = LOADED.lock().expect("nobody panics with it");
        if !loaded.contains(group) {
            load(&Path::new(PLACE).join(group))?;
            loaded.insert(group);
        }
    }
    Ok(())
}

fn groups(spec: &Value) -> Vec<&'static str> {
    let bounding = spec.pointer("/process/capabilities/bounding").and_then(Value::as_array);
    let can = |name: &str| bounding.map_or(false, |names| names.iter().any(|held| held == name));
    let devices = spec.get("linux").map_or(&[] as &[Value], |linux| params::list(linux, "devices"));
    let has = |path: &str| devices.iter().any(|device| device.get("path").map_or(false, |given| given == path));
    let numbered = |major: u64, minor: u64| {
        let number = |device: &Value, name: &str| device.get(name).and_then(Value::as_u64);
        devices.iter().any(|device| number(device, "major") == Some(major) && number(device, "minor") == Some(minor))
    };
    let network = can("CAP_NET_ADMIN") || has("/dev/net/tun") || numbered(10, 200);
    let fuse = can("CAP_SYS_ADMIN") || has("/dev/fuse") || numbered(10, 229);
    [("network", network), ("fuse", fuse)].into_iter().filter_map(|(group, wanted)| wanted.then_some(group)).collect()
}

fn load(directory: &Path) -> Outcome<()> {
    let order = fs::read_to_string(directory.join("order")).context(|| format!("read {}/order", directory.display()))?;
    for name in order.lines() {
        let image = fs::File::open(directory.join(name)).context(|| format!("open kernel module {}", name))?;
        sys::load_module(&image).context(|| format!("load kernel module {}", name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::groups;
    use serde_json::json;

    #[test]
    fn a_group_is_for_who_may_use_it() {
        let with = |capabilities: &[&str]| json!({ "process": { "capabilities": { "bounding": capabilities } }, "linux": {} });
        assert!(groups(&json!({})).is_empty());
        assert!(groups(&with(&["CAP_CHOWN", "CAP_NET_RAW"])).is_empty());
        assert_eq!(groups(&with(&["CAP_NET_ADMIN"])), ["network"]);
        assert_eq!(groups(&with(&["CAP_NET_ADMIN", "CAP_SYS_ADMIN"])), ["network", "fuse"]);
        assert_eq!(groups(&json!({ "linux": { "devices": [{ "path": "/dev/mine", "major": 10, "minor": 229 }] } })), ["fuse"]);
    }
}
