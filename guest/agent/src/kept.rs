//! Exec processes that outlive the host's connection, as containers do: each is an entry in the table of containers, without a root and without a control
//! group of its own. Starting, signals, output, stdin, its end and removal are a container's (start.rs, stdio.rs); what differs is here.

use std::fs;

use serde_json::Value;

use crate::agent::Agent;
use crate::calls::Answer;
use crate::children::{Ended, Job};
use crate::container::{Container, Exit, State};
use crate::crun;
use crate::entry::{self, enter, Entered};
use crate::failure::{Context, Failure, Outcome};
use crate::params;
use crate::reactor::{Key, Source, READ};
use crate::sys;

/// In the entry's directory: what crun is to run.
const PROCESS: &str = "process.json";

impl Agent {
    /// A second call with the same id changes nothing.
    pub fn create_exec(&mut self, call: &Value) -> Outcome<Answer> {
        let id = params::id(call, "id")?;
        if self.find_container(&id).is_some() {
            return Ok(Answer::Done);
        }
        let owner_id = params::text(call, "containerId")?;
        let key = self.find_container(owner_id).ok_or_else(|| Failure::not_found(format!("this sandbox has no container {}", owner_id)))?;
        let owner = &self.containers[&key];
        if !matches!(owner.state, State::Running) || owner.exec_of.is_some() {
            return Err(Failure::precondition(format!("container {} is {}, not running", owner_id, owner.state_name())));
        }
        let mut entry = Container::new(id);
        entry.exec_of = Some(owner_id.to_string());
        entry.place = owner.place.clone();
        entry.tty = params::flag(call, "tty");
        entry.wants_stdin = params::flag(call, "stdin");
        entry.size = params::optional_number(call, "columns")?.zip(params::optional_number(call, "rows")?);
        entry.process = self.process_in(&owner.process, call, entry.tty)?;
        // Otherwise it is made for crun alone, where crun is needed.
        if entry.tty {
            entry.make_directory()?;
        }
        let key = self.next_key;
        self.next_key += 1;
        self.containers.insert(key, entry);
        Ok(Answer::Done)
    }

    /// It comes in by itself (entry/), or by crun where anything about it is out of the ordinary. Gives the process, or crun's.
    pub fn spawn_exec(&mut self, key: Key, owner_id: &str, stdio: crun::Stdio3) -> Outcome<i32> {
        let owner = self.find_container(owner_id).ok_or_else(|| Failure::not_found(format!("this sandbox has no container {}", owner_id)))?;
        let entry = &self.containers[&key];
        if let Some(Entered { pid, report }) = enter(&self.containers[&owner], &entry.process, &stdio)? {
            self.reactor.watch(report.fd(), Source::ExecReport(key), READ);
            self.children.adopt(pid, Job::Container(key));
            self.containers.get_mut(&key).expect("the caller has it").report = Some(report);
            return Ok(pid);
        }
        let called = self.containers[&owner].called.clone();
        entry.make_directory()?;
        let description = entry.directory().join(PROCESS);
        fs::write(&description, entry.process.to_string()).context(|| "write the process's description".into())?;
        let arguments = ["exec", "--process", description.to_str().unwrap_or_default(), &called];
        crun::spawn(&entry.files(), entry.tty, &arguments, stdio).context(|| "run crun".into())
    }

    /// Its program runs, or never will.
    pub fn exec_told(&mut self, key: Key) {
        let entry = match self.containers.get_mut(&key) {
            Some(entry) => entry,
            None => return,
        };
        let told = match entry::told(&mut entry.report, &mut self.reactor) {
            Some(told) => told,
            None => return,
        };
        let pid = match entry.state {
            State::Starting { crun_pid, .. } => crun_pid,
            _ => return,
        };
        match told {
            Err(words) => self.start_failed(key, words),
            Ok(()) => self.container_runs(key, pid, sys::wall_nanos()),
        }
    }

    pub fn exec_exited(&mut self, key: Key, ended: Ended) {
        // Whether it ever ran comes first, and is known by now.
        self.exec_told(key);
        let is_new = self.containers.get(&key).map_or(false, |entry| !matches!(entry.state, State::Exited(_)));
        if is_new {
            let reason = if ended.code == 0 { "Completed" } else { "Error" };
            self.end_container(key, Exit { ended, reason, message: String::new() });
            self.drain_exec(key);
        }
    }

    /// Its process has ended: what is in its pipes still counts, but whoever else holds them has no say.
    pub fn drain_exec(&mut self, key: Key) {
        for part in 1..=2u8 {
            let index = part as usize - 1;
            while self.containers.get(&key).map_or(false, |entry| entry.is_over() && entry.pipes[index].is_some() && entry.logs[index].room() > 0) {
                self.read_output(key, part);
            }
        }
    }

    /// With a container go the processes that joined it: they are dead or dying.
    pub fn forget_execs(&mut self, owner_id: &str) {
        let of_owner = |entry: &Container| entry.exec_of.as_deref() == Some(owner_id) && !entry.removing;
        let keys: Vec<Key> = self.containers.iter().filter(|(_, entry)| of_owner(entry)).map(|(key, _)| *key).collect();
        for key in keys {
            let entry = self.containers.get_mut(&key).expect("listed above");
            entry.removing = true;
            if matches!(entry.state, State::Created | State::Exited(_)) {
                self.clean_up(key);
            }
        }
    }

    pub fn clean_up_exec(&mut self, key: Key) {
        let entry = self.containers.get_mut(&key).expect("the caller has it");
        let directory = entry.directory();
        if let Some(report) = entry.report.take() {
            self.reactor.forget(report.fd());
        }
        if !directory.exists() {
            return self.forget_container(key, Ok(()));
        }
        self.workers.run(move || {
            let _ = fs::remove_dir_all(&directory);
            Box::new(move |agent: &mut Agent| agent.forget_container(key, Ok(())))
        });
    }
}

impl Container {
    /// An exec whose process has ended.
    pub fn is_over(&self) -> bool {
        self.exec_of.is_some() && matches!(self.state, State::Exited(_))
    }

    fn make_directory(&self) -> Outcome<()> {
        let directory = self.directory();
        fs::create_dir_all(&directory).context(|| format!("make {}", directory.display()))
    }

    /// SIGKILL to an exec's process and to its group, if it leads one (with a terminal it does).
    pub fn kill_exec(&self) {
        if self.pid > 0 {
            let _ = sys::signal(-self.pid, libc::SIGKILL);
            let _ = sys::signal(self.pid, libc::SIGKILL);
        }
    }
}
