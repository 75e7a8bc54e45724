//! The way to the node's runtime service: one JSON value a line in both directions over a unix socket (platform/src/oci/oci-server.ts).
//!
//! HOME/oci.json, which the service writes, says where it listens and how it is started; HOME is SAMPAN_HOME, or the directory of this program where that
//! file stands beside it, or /var/lib/sampan. A service that is not there is started, by one caller at a time.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::io::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{json, Value};

use crate::failure::{Context, Failure, Outcome};
use crate::sys;

const START_PATIENCE: Duration = Duration::from_secs(60);
const MAX_LINE: usize = 4 << 20;

/// A connection that speaks in lines.
pub struct Connection {
    pub stream: UnixStream,
    received: Vec<u8>,
}

impl Connection {
    pub fn new(stream: UnixStream) -> Connection {
        Connection { stream, received: Vec::new() }
    }

    pub fn send(&mut self, message: &Value) -> Outcome<()> {
        self.stream.write_all(format!("{}\n", message).as_bytes()).context(|| "ask the runtime service".into())
    }

    /// Waits for the next line; None at the end of the stream.
    pub fn next(&mut self) -> Outcome<Option<Value>> {
        loop {
            if let Some(value) = self.buffered()? {
                return Ok(Some(value));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    pub fn has_line(&self) -> bool {
        self.received.contains(&b'\n')
    }

    /// A line that has already come.
    pub fn buffered(&mut self) -> Outcome<Option<Value>> {
        let end = match self.received.iter().position(|byte| *byte == b'\n') {
            Some(end) => end,
            None => return Ok(None),
        };
        let value = serde_json::from_slice(&self.received[..end]).context(|| "the runtime service's answer".into())?;
        self.received.drain(..=end);
        if self.received.is_empty() {
            self.received.shrink_to(0);
        }
        Ok(Some(value))
    }

    /// One read; false at the end of the stream.
    pub fn fill(&mut self) -> Outcome<bool> {
        let mut piece = [0u8; 4096];
        let count = match self.stream.read(&mut piece) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return Ok(true),
            other => other.context(|| "the runtime service".into())?,
        };
        if self.received.len() + count > MAX_LINE {
            return Err(Failure::new("the runtime service's answer is over 4 MiB"));
        }
        self.received.extend_from_slice(&piece[..count]);
        Ok(count > 0)
    }

    /// The answer to a call: its result, or its error.
    pub fn answer(&mut self) -> Outcome<Value> {
        let value = self.next()?.ok_or_else(|| Failure::new("the runtime service went away during the call"))?;
        result_of(value)
    }
}

pub fn result_of(mut value: Value) -> Outcome<Value> {
    match value["error"]["message"].as_str() {
        Some(message) => Err(Failure::new(message)),
        None => Ok(value["result"].take()),
    }
}

/// One call, one answer.
pub fn call(method: &str, params: Value) -> Outcome<Value> {
    let mut connection = connect()?;
    connection.send(&json!({ "method": method, "params": params }))?;
    connection.answer()
}

/// Connects, and starts the service first where none listens.
pub fn connect() -> Outcome<Connection> {
    let home = home();
    if let Some(stream) = try_connect(&home) {
        return Ok(Connection::new(stream));
    }
    let _lock = lock(&home)?;
    if let Some(stream) = try_connect(&home) {
        return Ok(Connection::new(stream));
    }
    let mut service = start(&home)?;
    let began = Instant::now();
    while began.elapsed() < START_PATIENCE {
        if let Some(stream) = try_connect(&home) {
            return Ok(Connection::new(stream));
        }
        if let Ok(Some(status)) = service.try_wait() {
            return Err(Failure::new(format!("the runtime service ended ({}); its log is {}", status, log_path(&home).display())));
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    Err(Failure::new(format!("the runtime service did not come up within 60 s; its log is {}", log_path(&home).display())))
}

/// Where the service of this home listens, as it last said.
pub fn socket_path() -> Option<PathBuf> {
    read_file(&home())?["socket"].as_str().map(PathBuf::from)
}

/// Podman and conmon pass no environment on: an instance that is not the usual one has a copy of this program in its home.
fn home() -> PathBuf {
    let named = std::env::var_os("SAMPAN_HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    named.or_else(own_directory).unwrap_or_else(|| "/var/lib/sampan".into())
}

/// Where this program stands, if that is a home.
fn own_directory() -> Option<PathBuf> {
    let directory = std::env::current_exe().ok()?.parent()?.to_path_buf();
    directory.join("oci.json").exists().then_some(directory)
}

fn read_file(home: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(home.join("oci.json")).ok()?).ok()
}

fn try_connect(home: &Path) -> Option<UnixStream> {
    UnixStream::connect(read_file(home)?["socket"].as_str()?).ok()
}

fn log_path(home: &Path) -> PathBuf {
    home.join("logs/runtime.log")
}

fn lock(home: &Path) -> Outcome<File> {
    std::fs::create_dir_all(home.join("logs")).context(|| home.display().to_string())?;
    let path = home.join("oci.lock");
    let file = File::options().write(true).create(true).open(&path).context(|| path.display().to_string())?;
    sys::check(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX) }, "flock")?;
    Ok(file)
}

/// Starts the service in a session of its own, outside the caller's cgroups: it serves others when this caller is long gone.
fn start(home: &Path) -> Outcome<Child> {
    let file = read_file(home).unwrap_or(Value::Null);
    let words: Vec<String> = file["start"].as_array().into_iter().flatten().filter_map(|word| word.as_str().map(String::from)).collect();
    let (program, arguments) = words.split_first().ok_or_else(|| {
        Failure::new(format!("the runtime service of {} does not run and was never started: run `sampan runtime` once, from then on it is started when needed", home.display()))
    })?;
    let log = File::options().append(true).create(true).open(log_path(home)).context(|| log_path(home).display().to_string())?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir("/").stdin(Stdio::null());
    command.env_remove("NOTIFY_SOCKET").env_remove("LISTEN_FDS");
    for (name, value) in file["environment"].as_object().into_iter().flatten() {
        command.env(name, value.as_str().unwrap_or(""));
    }
    command.env("SAMPAN_HOME", home);
    let stderr = log.try_clone().context(|| "the service's log".into())?;
    unsafe {
        command.pre_exec(|| {
            libc::setsid();
            leave_cgroups();
            sys::close_on_exec_from_3();
            Ok(())
        });
    }
    command.stdout(log).stderr(stderr).spawn().context(|| format!("start {}", program))
}

fn leave_cgroups() {
    let _ = std::fs::write("/sys/fs/cgroup/cgroup.procs", "0");
    for entry in std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
        if entry.path().join("cgroup.clone_children").exists() || entry.file_name() == "unified" || entry.file_name() == "systemd" {
            let _ = std::fs::write(entry.path().join("cgroup.procs"), "0");
        }
    }
}
