//! Running crun: its arguments, and its words when it fails. One exec of it starts a container; nothing else ever runs it but exec.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::io::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const BINARY: &str = "/usr/bin/crun";
/// Where crun keeps its state: a directory for each container.
pub const STATE: &str = "/run/crun";

/// The files of one run of crun, all in one directory, told apart by `name`.
pub struct Files {
    pub pid: PathBuf,
    pub log: PathBuf,
    pub console: PathBuf,
}

impl Files {
    pub fn new(directory: &Path, name: &str) -> Files {
        let file = |kind: &str| directory.join(format!("{}.{}", name, kind));
        Files { pid: file("pid"), log: file("log"), console: console_of(&file("tty")) }
    }

    /// The process that crun started.
    pub fn read_pid(&self) -> Option<i32> {
        fs::read_to_string(&self.pid).ok()?.trim().parse().ok()
    }

    /// crun's complaint, shortened.
    pub fn words(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log[..log.len().min(64 * 1024)]).into_owned();
        let message = |line: &str| Some(serde_json::from_str::<serde_json::Value>(line).ok()?.get("msg")?.as_str()?.to_string());
        let said = log.lines().rev().find_map(message).unwrap_or_else(|| log.trim().to_string());
        let said = if said.is_empty() { "crun failed without a word".to_string() } else { said };
        said.chars().take(1000).collect()
    }

    pub fn remove(&self) {
        for path in [&self.pid, &self.log, &self.console] {
            let _ = fs::remove_file(path);
        }
    }
}

/// A socket's path has room for 107 bytes, and ids may be longer.
fn console_of(path: &Path) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    PathBuf::from(format!("/run/sampan/{:016x}.tty", hasher.finish()))
}

/// stdin, stdout, stderr of the process; absent means /dev/null.
pub type Stdio3 = [Option<OwnedFd>; 3];

/// Starts crun and gives its process id; it is reaped like any child.
pub fn spawn(files: &Files, tty: bool, arguments: &[&str], stdio: Stdio3) -> io::Result<i32> {
    files.remove_stale();
    let mut command = Command::new(BINARY);
    // With this crun starts itself anew from a read-only mount of its own making, unless it stands on one already, as here: it looks for itself.
    command.env_clear().env("PATH", "/usr/bin").env("_LIBCONTAINER_CLONED_BINARY", "1").current_dir("/");
    command.args(["--root", STATE, "--cgroup-manager", "cgroupfs", "--log-format", "json", "--log"]).arg(&files.log);
    command.arg(arguments[0]);
    if arguments[0] != "create" {
        command.arg("--detach");
    }
    command.arg("--pid-file").arg(&files.pid);
    if tty {
        command.arg("--console-socket").arg(&files.console);
    }
    command.args(&arguments[1..]);
    let [stdin, stdout, stderr] = stdio.map(|end| end.map_or_else(Stdio::null, Stdio::from));
    command.stdin(stdin).stdout(stdout).stderr(stderr);
    Ok(command.spawn()?.id() as i32)
}

/// The process that `crun create` has made goes on: as `crun start` does it, without another run of crun.
pub fn let_go(id: &str) -> io::Result<()> {
    let fifo = Path::new(STATE).join(id).join("exec.fifo");
    let mut waiting = fs::OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(&fifo)?;
    fs::remove_file(&fifo)?;
    waiting.write_all(&[0])
}

impl Files {
    fn remove_stale(&self) {
        let _ = fs::remove_file(&self.pid);
        let _ = fs::remove_file(&self.log);
    }
}
