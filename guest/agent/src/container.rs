//! A container's life, and the table of them.
//!
//!   created ──start──▶ starting ──crun is done──▶ running ──first process ends──▶ exited
//!      │                   └─────crun fails───────────────────────────────────▶ exited (StartError)
//!      └─made ready─▶ starting ──crun is done──▶ held ──start──▶ running
//!
//! Preparing it is create.rs, running crun and what follows is start.rs, its stdio is stdio.rs.

use std::fs;
use std::os::unix::io::OwnedFd;
use std::path::{Path, PathBuf};

use serde_json::{json, Value};

use crate::agent::Agent;
use crate::calls::{Answer, Caller};
use crate::cgroup;
use crate::children::Ended;
use crate::crun;
use crate::device_filter::Rules;
use crate::entry::{Door, Report};
use crate::failure::{Failure, Outcome};
use crate::input::Input;
use crate::output::OutputLog;
use crate::pace::Pace;
use crate::params;
use crate::reactor::Key;
use crate::setup::SCRATCH;
use crate::sys;
use crate::terminal::ConsoleSocket;

pub struct Exit {
    pub ended: Ended,
    pub reason: &'static str,
    pub message: String,
}

pub enum State {
    Created,
    /// crun's process, and who waits for it.
    Starting { crun_pid: i32, callers: Vec<Caller> },
    /// Made ready: its process waits to be let go, or crun has said why there is none.
    Held { failure: Option<String> },
    Running,
    Exited(Exit),
}

pub struct Container {
    pub id: String,
    /// By crun, and so towards hooks that run inside.
    pub called: String,
    /// Set where this is a process that joined another container (kept.rs): that one's id.
    pub exec_of: Option<String>,
    /// Its control group, where that is not one below the Pod's (host/groups.rs).
    pub place: Option<String>,
    /// Of an exec that comes in without crun: whether its program runs, until that is known.
    pub report: Option<Report>,
    /// Of the terminal, once there is one.
    pub size: Option<(u64, u64)>,
    pub state: State,
    pub tty: bool,
    pub wants_stdin: bool,
    /// crun makes its process before anybody asks for its start (ready.rs).
    pub is_readied: bool,
    /// `process` of the spec, from which exec makes its own.
    pub process: Value,
    pub device_rules: Rules,
    /// How other processes come in.
    pub door: Door,
    pub pid: i32,
    /// Nanoseconds since the epoch; 0 before it started.
    pub started_at: u64,
    /// stdout and stderr; with a terminal all is stdout.
    pub pipes: [Option<OwnedFd>; 2],
    pub logs: [OutputLog; 2],
    pub paces: [Pace; 2],
    /// The stream on which the host reads the output.
    pub reader: Option<Key>,
    pub input: Option<Input>,
    /// Calls of writeStdin, and how far the input must have been taken for each.
    pub writers: Vec<(Caller, u64)>,
    pub console: Option<ConsoleSocket>,
    /// Its memory.events, watched.
    pub oom_file: Option<fs::File>,
    /// It tells before the kernel kills.
    pub oom_comes_early: bool,
    pub oom_kills: u64,
    /// Mounts made for it, in order.
    pub mounts: Vec<PathBuf>,
    /// Signals that came while crun was starting it.
    pub held_signals: Vec<(i32, bool)>,
    pub removers: Vec<Caller>,
    pub removing: bool,
    /// Who waits until crun has made its process (ready.rs).
    pub awaiters: Vec<Caller>,
}

impl Container {
    pub fn new(id: String) -> Container {
        Container {
            called: id.clone(),
            id,
            exec_of: None,
            place: None,
            report: None,
            size: None,
            state: State::Created,
            tty: false,
            wants_stdin: false,
            is_readied: false,
            process: Value::Null,
            device_rules: Rules::Other,
            door: Door::Crun,
            pid: 0,
            started_at: 0,
            pipes: [None, None],
            logs: [OutputLog::default(), OutputLog::default()],
            paces: [Pace::default(), Pace::default()],
            reader: None,
            input: None,
            writers: Vec::new(),
            console: None,
            oom_file: None,
            oom_comes_early: false,
            oom_kills: 0,
            mounts: Vec::new(),
            held_signals: Vec::new(),
            removers: Vec::new(),
            removing: false,
            awaiters: Vec::new(),
        }
    }

    /// Its bundle, in memory.
    pub fn directory(&self) -> PathBuf {
        Path::new("/run/sampan/containers").join(&self.id)
    }

    /// Its writable layer.
    pub fn layer(&self) -> PathBuf {
        Path::new(SCRATCH).join("containers").join(&self.id)
    }

    pub fn cgroup(&self) -> String {
        let name = self.exec_of.as_ref().unwrap_or(&self.id);
        self.place.clone().unwrap_or_else(|| format!("{}/{}", cgroup::pod(), name))
    }

    pub fn files(&self) -> crun::Files {
        crun::Files::new(&self.directory(), "init")
    }

    pub fn state_name(&self) -> &'static str {
        match self.state {
            State::Created | State::Starting { .. } | State::Held { .. } => "created",
            State::Running => "running",
            State::Exited(_) => "exited",
        }
    }

    pub fn status(&self) -> Value {
        let exit = match &self.state {
            State::Exited(exit) => exit_value(exit, self.started_at),
            _ => Value::Null,
        };
        json!({
            "id": self.id,
            "state": self.state_name(),
            "pid": self.pid,
            "startedAtUnixNanos": self.started_at.to_string(),
            "exit": exit,
        })
    }
}

pub fn exit_value(exit: &Exit, started_at: u64) -> Value {
    json!({
        "exitCode": exit.ended.code,
        "signal": exit.ended.signal,
        "reason": exit.reason,
        "startedAtUnixNanos": started_at.to_string(),
        "finishedAtUnixNanos": exit.ended.time.max(started_at).to_string(),
        "message": exit.message,
    })
}

impl Agent {
    pub fn find_container(&self, id: &str) -> Option<Key> {
        self.containers.iter().find(|(_, container)| container.id == id).map(|(key, _)| *key)
    }

    pub fn container_of(&self, params: &Value) -> Outcome<Key> {
        let id = params::text(params, "id")?;
        self.find_container(id).ok_or_else(|| Failure::not_found(format!("this sandbox has no container {}", id)))
    }

    pub fn list_containers(&self) -> Value {
        self.containers.values().map(Container::status).collect()
    }

    pub fn signal_container(&mut self, call: &Value) -> Outcome<Answer> {
        let key = self.container_of(call)?;
        let signal = params::number(call, "signal")?;
        let all = params::flag(call, "all");
        if !(1..=64).contains(&signal) {
            return Err(Failure::bad(format!("signal {} is not one of 1 to 64", signal)));
        }
        let container = self.containers.get_mut(&key).expect("found above");
        match container.state {
            State::Created | State::Held { .. } => Err(Failure::precondition(format!("container {} has not been started", container.id))),
            State::Starting { .. } => {
                container.held_signals.push((signal as i32, all));
                Ok(Answer::Done)
            }
            State::Exited(_) if !all => Ok(Answer::Done),
            _ => deliver(container, signal as i32, all).map(|()| Answer::Done),
        }
    }

    pub fn update_resources(&mut self, call: &Value) -> Outcome<Answer> {
        let key = self.container_of(call)?;
        let container = &self.containers[&key];
        match container.state {
            State::Running => cgroup::apply(&container.cgroup(), call.get("resources").unwrap_or(&Value::Null)).map(|()| Answer::Done),
            _ => Err(Failure::precondition(format!("container {} is {}, not running", container.id, container.state_name()))),
        }
    }
}

pub fn deliver(container: &Container, signal: i32, all: bool) -> Outcome<()> {
    if all && container.exec_of.is_none() {
        return cgroup::signal_all(&container.cgroup(), signal);
    }
    match sys::signal(container.pid, signal) {
        Err(error) if error.raw_os_error() != Some(libc::ESRCH) => {
            Err(Failure::internal(format!("signal container {}: {}", container.id, error)))
        }
        _ => Ok(()),
    }
}
