//! Starting a container with one run of crun (or before it is asked for: ready.rs), and what its end brings: exit status, OOM, removal.

use std::fs;
use std::os::unix::io::AsRawFd;
use std::path::Path;

use serde_json::{json, Value};

use crate::agent::Agent;
use crate::calls::{Answer, Caller};
use crate::children::{Ended, Job};
use crate::container::{deliver, exit_value, Container, Exit, State};
use crate::create::take_back;
use crate::crun;
use crate::device_filter::Rules;
use crate::failure::{Context, Failure, Outcome};
use crate::input::{Input, InputKind};
use crate::reactor::{Key, Source, EDGE, PRIORITY, READ};
use crate::stdio::output_pipe;
use crate::terminal::ConsoleSocket;
use crate::{cgroup, sys};

/// From the word that memory is short to the kill, where the word comes first.
const OOM_KILL_TAKES: std::time::Duration = std::time::Duration::from_millis(100);
/// How long removal waits for killed processes to leave the cgroup.
const REMOVE_TRIES: u32 = 500;

impl Agent {
    pub fn start_container(&mut self, caller: Caller, call: &Value) -> Outcome<Answer> {
        let key = self.container_of(call)?;
        let container = self.containers.get_mut(&key).expect("found above");
        match &mut container.state {
            State::Created => {}
            State::Starting { callers, .. } => {
                callers.push(caller);
                return Ok(Answer::Later);
            }
            State::Held { .. } => return self.let_go(key),
            State::Exited(exit) if exit.reason == "StartError" => return Err(Failure::internal(exit.message.clone())),
            State::Running | State::Exited(_) => return Ok(started(container)),
        }
        match self.spawn_container(key) {
            Ok(crun_pid) => {
                self.crun_begun(key, crun_pid, vec![caller]);
                Ok(Answer::Later)
            }
            Err(failure) => {
                self.start_failed(key, failure.message.clone());
                Err(failure)
            }
        }
    }

    pub fn crun_begun(&mut self, key: Key, crun_pid: i32, callers: Vec<Caller>) {
        let container = self.containers.get_mut(&key).expect("the caller has it");
        container.state = State::Starting { crun_pid, callers };
        if container.report.is_some() {
            return;
        }
        // crun may have ended already; then its end waits among the strays.
        if let Some(ended) = self.children.expect(crun_pid, Job::ContainerStart(key)) {
            self.container_started(key, ended);
        }
    }

    pub fn spawn_container(&mut self, key: Key) -> Outcome<i32> {
        let container = self.containers.get_mut(&key).expect("the caller has it");
        if let (Rules::Usual, Some(filter)) = (container.device_rules, &self.device_filter) {
            filter.attach(&cgroup::path(&container.cgroup())).context(|| "filter the devices".into())?;
        }
        let files = container.files();
        let mut stdio: crun::Stdio3 = [None, None, None];
        if container.tty {
            let console = ConsoleSocket::listen(&files.console).context(|| "make the console socket".into())?;
            self.reactor.watch(console.fd(), Source::ContainerConsole(key), READ);
            container.console = Some(console);
            container.logs[1].ended = true;
            container.input = container.wants_stdin.then(|| Input::new(InputKind::Terminal, None));
        } else {
            for part in 0..2u8 {
                let (mine, theirs) = output_pipe().context(|| "make a pipe".into())?;
                self.reactor.watch(mine.as_raw_fd(), Source::Output(key, part + 1), READ);
                container.pipes[part as usize] = Some(mine);
                stdio[part as usize + 1] = Some(theirs);
            }
            if container.wants_stdin {
                let (theirs, mine) = sys::pipe().context(|| "make a pipe".into())?;
                sys::set_nonblocking(mine.as_raw_fd()).context(|| "make a pipe".into())?;
                container.input = Some(Input::new(InputKind::Pipe, Some(mine)));
                stdio[0] = Some(theirs);
            }
        }
        if let Some(owner_id) = container.exec_of.clone() {
            return self.spawn_exec(key, &owner_id, stdio);
        }
        let bundle = container.directory();
        let verb = if container.is_readied { "create" } else { "run" };
        let arguments = [verb, "--no-new-keyring", "--bundle", bundle.to_str().unwrap_or_default(), &container.called];
        crun::spawn(&files, container.tty, &arguments, stdio).context(|| "run crun".into())
    }

    /// crun has ended: the container runs, or never will.
    pub fn container_started(&mut self, key: Key, crun: Ended) {
        let container = match self.containers.get_mut(&key) {
            Some(container) => container,
            None => return,
        };
        let files = container.files();
        let pid = files.read_pid().filter(|_| crun.code == 0);
        let pid = match pid {
            Some(pid) => pid,
            None => {
                let words = files.words();
                return self.not_made(key, words);
            }
        };
        files.remove();
        if container.is_readied {
            self.made_ready(key, pid);
        } else {
            self.container_runs(key, pid, crun.time);
        }
        if let Some(ended) = self.children.expect(pid, Job::Container(key)) {
            self.container_exited(key, ended);
        }
    }

    /// Its process is there: whoever waited for that is told.
    pub fn container_runs(&mut self, key: Key, pid: i32, time: u64) {
        let container = self.containers.get_mut(&key).expect("the caller has it");
        container.pid = pid;
        container.started_at = time;
        let callers = match std::mem::replace(&mut container.state, State::Running) {
            State::Starting { callers, .. } => callers,
            _ => Vec::new(),
        };
        for (signal, all) in std::mem::take(&mut container.held_signals) {
            let _ = deliver(container, signal, all);
        }
        let oom = container.exec_of.is_none().then(|| cgroup::watch_oom(&container.cgroup()));
        if let Some(Ok((file, comes_early))) = oom {
            // Edge-triggered: the file stays "changed" until this very descriptor is read, which nobody does.
            let event = if comes_early { READ } else { PRIORITY };
            self.reactor.watch(file.as_raw_fd(), Source::OomEvents(key), event | EDGE);
            container.oom_file = Some(file);
            container.oom_comes_early = comes_early;
        }
        for caller in callers {
            let answer = started(&self.containers[&key]);
            self.reply(caller, Ok(answer));
        }
        self.tell_ready(key);
    }

    pub fn start_failed(&mut self, key: Key, words: String) {
        let ended = Ended { code: 128, signal: 0, time: sys::wall_nanos() };
        let callers = match &mut self.containers.get_mut(&key).expect("the caller has it").state {
            State::Starting { callers, .. } => std::mem::take(callers),
            _ => Vec::new(),
        };
        for caller in callers {
            self.reply(caller, Err(Failure::internal(words.clone())));
        }
        self.end_container(key, Exit { ended, reason: "StartError", message: words });
    }

    pub fn container_exited(&mut self, key: Key, ended: Ended) {
        if self.containers.get(&key).map_or(false, |container| container.exec_of.is_some()) {
            return self.exec_exited(key, ended);
        }
        self.check_oom(key);
        let container = match self.containers.get(&key) {
            Some(container) => container,
            None => return,
        };
        let reason = match ended.code {
            0 => "Completed",
            _ if container.oom_kills > 0 => "OOMKilled",
            _ => "Error",
        };
        // What it left behind, where it shares a PID namespace or has daemons in a namespace of their own.
        let _ = cgroup::signal_all(&container.cgroup(), libc::SIGKILL);
        self.end_container(key, Exit { ended, reason, message: String::new() });
    }

    pub fn end_container(&mut self, key: Key, exit: Exit) {
        let container = self.containers.get_mut(&key).expect("the caller has it");
        if let Some(file) = container.oom_file.take() {
            self.reactor.forget(file.as_raw_fd());
        }
        if let Some(console) = container.console.take() {
            self.reactor.forget(console.fd());
        }
        if exit.reason == "StartError" || (container.tty && container.pipes[0].is_none()) {
            // Nothing will ever write to its streams.
            for part in 0..2 {
                container.logs[part].ended = true;
                if let Some(pipe) = container.pipes[part].take() {
                    self.reactor.forget(pipe.as_raw_fd());
                }
            }
            // Who reads its output learns of it at the end of the turn.
            self.starved = true;
        }
        let event = json!({ "type": "exited", "containerId": container.id, "exit": exit_value(&exit, container.started_at) });
        container.state = State::Exited(exit);
        self.tell_ready(key);
        self.drop_stdin(key);
        self.event(event);
        if self.containers[&key].removing {
            self.clean_up(key);
        }
    }

    pub fn oom_told(&mut self, key: Key) {
        self.check_oom(key);
        if self.containers.get(&key).map_or(false, |container| container.oom_comes_early) {
            self.workers.run(move || {
                std::thread::sleep(OOM_KILL_TAKES);
                Box::new(move |agent: &mut Agent| agent.check_oom(key))
            });
        }
    }

    pub fn check_oom(&mut self, key: Key) {
        let container = match self.containers.get_mut(&key) {
            Some(container) => container,
            None => return,
        };
        let kills = cgroup::oom_kills(&container.cgroup());
        if kills > container.oom_kills {
            container.oom_kills = kills;
            let event = json!({ "type": "oom", "containerId": container.id });
            self.event(event);
        }
    }

    /// Answered when nothing is left of it. A container that does not exist is removed already.
    pub fn remove_container(&mut self, caller: Caller, call: &Value) -> Outcome<Answer> {
        let key = match crate::params::text(call, "id").map(|id| self.find_container(id))? {
            Some(key) => key,
            None => return Ok(Answer::Done),
        };
        let container = self.containers.get_mut(&key).expect("found above");
        container.removers.push(caller);
        if std::mem::replace(&mut container.removing, true) {
            return Ok(Answer::Later);
        }
        match container.state {
            State::Created | State::Exited(_) | State::Held { failure: Some(_) } => self.clean_up(key),
            State::Held { failure: None } => cgroup::signal_all(&container.cgroup(), libc::SIGKILL)?,
            State::Running if container.exec_of.is_some() => container.kill_exec(),
            State::Running => cgroup::signal_all(&container.cgroup(), libc::SIGKILL)?,
            State::Starting { crun_pid, .. } => {
                container.held_signals.push((libc::SIGKILL, true));
                let _ = sys::signal(crun_pid, libc::SIGKILL);
                if container.exec_of.is_none() {
                    let _ = cgroup::signal_all(&container.cgroup(), libc::SIGKILL);
                }
            }
        }
        Ok(Answer::Later)
    }

    /// Its processes are dead or dying: unmounts and deletes on a worker, then forgets it.
    pub fn clean_up(&mut self, key: Key) {
        let container = &self.containers[&key];
        if container.exec_of.is_some() {
            return self.clean_up_exec(key);
        }
        let group = container.cgroup();
        let (mounts, directory, layer) = (container.mounts.clone(), container.directory(), container.layer());
        let state = Path::new(crun::STATE).join(&container.called);
        self.workers.run(move || {
            let mut left = cgroup::remove_group(&group);
            for _ in 0..REMOVE_TRIES {
                if left.is_ok() {
                    break;
                }
                let _ = cgroup::signal_all(&group, libc::SIGKILL);
                std::thread::sleep(std::time::Duration::from_millis(10));
                left = cgroup::remove_group(&group);
            }
            let _ = fs::remove_dir_all(&state);
            take_back(&mounts, &directory, &layer);
            Box::new(move |agent: &mut Agent| agent.forget_container(key, left))
        });
    }

    pub fn forget_container(&mut self, key: Key, left: std::io::Result<()>) {
        let mut container = match self.containers.remove(&key) {
            Some(container) => container,
            None => return,
        };
        for pipe in container.pipes.iter_mut().filter_map(Option::take) {
            self.reactor.forget(pipe.as_raw_fd());
        }
        if let Some(stream) = container.reader {
            self.close_stream(stream, json!({}));
        }
        for caller in std::mem::take(&mut container.awaiters) {
            self.reply(caller, Err(Failure::not_found(format!("container {} is removed", container.id))));
        }
        for caller in std::mem::take(&mut container.removers) {
            let outcome = match &left {
                Ok(()) => Ok(Answer::Done),
                Err(error) => Err(Failure::internal(format!("container {} is removed, but its cgroup is not: {}", container.id, error))),
            };
            self.reply(caller, outcome);
        }
        if container.exec_of.is_none() {
            self.forget_execs(&container.id);
        }
    }
}

pub fn started(container: &Container) -> Answer {
    Answer::With(json!({ "startedAtUnixNanos": container.started_at.to_string(), "pid": container.pid }))
}
