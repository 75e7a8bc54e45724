//! Runs crun once before the machine may be frozen: its code and libraries are then in the page cache that every clone shares, and the kernel's
//! caches hold what a container needs. The container is the agent's own binary, told to do nothing. Best effort.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::crun;

/// The agent's argument in that container.
pub const DO_NOTHING: &str = "--nothing";
const PLACE: &str = "/run/sampan/warm";

pub fn warm_up() {
    if let Err(error) = run() {
        crate::console::say(&format!("crun was not warmed up: {}", error));
    }
    let _ = fs::remove_dir_all(PLACE);
}

fn run() -> std::io::Result<()> {
    let rootfs = Path::new(PLACE).join("rootfs");
    fs::create_dir_all(&rootfs)?;
    fs::copy("/proc/self/exe", rootfs.join("nothing"))?;
    fs::write(Path::new(PLACE).join("config.json"), spec().to_string())?;
    let log = Path::new(PLACE).join("log");
    let mut command = Command::new(crun::BINARY);
    command.env_clear().current_dir("/").args(["--root", crun::STATE, "--cgroup-manager", "cgroupfs", "--log"]).arg(&log);
    command.args(["run", "--no-new-keyring", "--bundle", PLACE, "warm"]);
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if status.success() {
        return Ok(());
    }
    let words = fs::read_to_string(&log).unwrap_or_default();
    Err(std::io::Error::new(std::io::ErrorKind::Other, format!("{}: {}", status, words.trim())))
}

/// Much as the runtime's own specs, so that the same code runs.
fn spec() -> serde_json::Value {
    json!({
        "ociVersion": "1.0.2",
        "root": { "path": format!("{}/rootfs", PLACE) },
        "process": {
            "args": ["/nothing", DO_NOTHING], "cwd": "/", "env": ["PATH=/"], "user": { "uid": 0, "gid": 0 },
            "capabilities": { "bounding": ["CAP_KILL"], "effective": ["CAP_KILL"], "permitted": ["CAP_KILL"] },
            "noNewPrivileges": true,
        },
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"] },
            { "destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["newinstance", "ptmxmode=0666"] },
            { "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"] },
            { "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"] },
        ],
        "linux": {
            "cgroupsPath": "/pod/warm",
            "namespaces": [{ "type": "pid" }, { "type": "mount" }, { "type": "cgroup" }],
            "resources": { "devices": [{ "allow": false, "access": "rwm" }], "memory": { "limit": 67_108_864 } },
            "maskedPaths": ["/proc/kcore"],
            "readonlyPaths": ["/proc/sys"],
        },
    })
}
