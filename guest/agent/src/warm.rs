//! Runs crun once before the machine may be frozen: its code and libraries are then in the page cache that every clone shares, and the kernel's
//! caches hold what a container needs. The container is the agent's own binary, told to do nothing. Best effort.
//!
//! Its cgroup stays, with limits and a device filter: the kernel patches its own code when the first of these comes and when the last goes, which is
//! dear where code has to be translated anew.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::crun;

/// The agent's argument in that container.
pub const DO_NOTHING: &str = "--nothing";
/// Its cgroup.
pub const GROUP: &str = "warm";
const PLACE: &str = "/run/sampan/warm";

pub fn warm_up() {
    if let Err(error) = run() {
        crate::console::say(&format!("crun was not warmed up: {}", error));
    }
    let _ = fs::remove_dir_all(PLACE);
}

fn run() -> std::io::Result<()> {
    let place = Path::new(PLACE);
    let rootfs = place.join("rootfs");
    fs::create_dir_all(&rootfs)?;
    fs::copy("/proc/self/exe", rootfs.join("nothing"))?;
    fs::write(place.join("config.json"), spec().to_string())?;
    let files = crun::Files::new(place, "warm");
    let crun = crun::spawn(&files, false, &["run", "--no-new-keyring", "--bundle", PLACE, "warm"], [None, None, None])?;
    // Nobody else has children yet: crun, what it forks on the way, and the container itself.
    let (mut status, mut code) = (0, None);
    while let pid @ 1.. = unsafe { libc::waitpid(-1, &mut status, 0) } {
        if pid == crun {
            code = Some(libc::WEXITSTATUS(status));
        }
    }
    let _ = fs::remove_dir_all(Path::new(crun::STATE).join("warm"));
    match code {
        Some(0) => Ok(()),
        _ => Err(std::io::Error::new(std::io::ErrorKind::Other, files.words())),
    }
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
            "cgroupsPath": format!("/{}", GROUP),
            "namespaces": [{ "type": "pid" }, { "type": "mount" }, { "type": "cgroup" }],
            "resources": { "devices": [{ "allow": false, "access": "rwm" }], "memory": { "limit": 67_108_864 }, "cpu": { "quota": 100_000, "period": 100_000 } },
            "maskedPaths": ["/proc/kcore"],
            "readonlyPaths": ["/proc/sys"],
        },
    })
}
