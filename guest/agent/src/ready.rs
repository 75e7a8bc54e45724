//! Containers made ready before they are started: crun makes the process while the caller of createContainer does something else, and startContainer has
//! only to let it go. What crun complains of is kept until then: it is the start that fails. Or it is told to who asks whether the process is there, because
//! something is to be done to it (hooks on the host) before it goes on.

use serde_json::{json, Value};

use crate::agent::Agent;
use crate::calls::{Answer, Caller};
use crate::container::State;
use crate::crun;
use crate::failure::{Failure, Outcome};
use crate::reactor::Key;
use crate::{cgroup, sys};

impl Agent {
    /// At the end of a turn: whoever asked has been answered. A container that was started or removed meanwhile is left alone.
    pub fn make_ready(&mut self) {
        for key in std::mem::take(&mut self.unready) {
            match self.containers.get_mut(&key) {
                Some(container) if matches!(container.state, State::Created) && !container.removing => container.is_readied = true,
                _ => continue,
            }
            match self.spawn_container(key) {
                Ok(crun_pid) => self.crun_begun(key, crun_pid, Vec::new()),
                Err(failure) => self.not_made(key, failure.message),
            }
        }
    }

    /// Answered when crun is done.
    pub fn await_ready(&mut self, caller: Caller, call: &Value) -> Outcome<Answer> {
        let key = self.container_of(call)?;
        let container = self.containers.get_mut(&key).expect("found above");
        if !container.is_readied && !self.unready.contains(&key) {
            return Err(Failure::precondition(format!("container {} is not made before its start", container.id)));
        }
        container.awaiters.push(caller);
        self.tell_ready(key);
        Ok(Answer::Later)
    }

    /// Whoever waits for crun hears what became of it, once that is known.
    pub fn tell_ready(&mut self, key: Key) {
        let container = self.containers.get_mut(&key).expect("the caller has it");
        let outcome: Result<i32, String> = match &container.state {
            State::Created | State::Starting { .. } => return,
            State::Held { failure: Some(words) } => Err(words.clone()),
            State::Held { failure: None } | State::Running => Ok(container.pid),
            State::Exited(exit) => Err(format!("container {} has ended: {} {}", container.id, exit.reason, exit.message)),
        };
        for caller in std::mem::take(&mut container.awaiters) {
            let answer = outcome.clone().map(|pid| Answer::With(json!({ "pid": pid }))).map_err(Failure::internal);
            self.reply(caller, answer);
        }
    }

    /// crun is done: the process waits, unless it is wanted already.
    pub fn made_ready(&mut self, key: Key, pid: i32) {
        let container = self.containers.get_mut(&key).expect("the caller has it");
        container.pid = pid;
        let is_wanted = matches!(&container.state, State::Starting { callers, .. } if !callers.is_empty());
        if is_wanted {
            if let Err(words) = self.release(key) {
                let _ = cgroup::signal_all(&self.containers[&key].cgroup(), libc::SIGKILL);
                self.start_failed(key, words);
            }
        } else if container.removing {
            // Of the signals that were held the last kills it.
            self.container_runs(key, pid, sys::wall_nanos());
        } else {
            container.state = State::Held { failure: None };
        }
        self.tell_ready(key);
    }

    pub fn not_made(&mut self, key: Key, words: String) {
        let container = self.containers.get_mut(&key).expect("the caller has it");
        let is_wanted = matches!(&container.state, State::Starting { callers, .. } if !callers.is_empty());
        if container.is_readied && !is_wanted && !container.removing {
            container.state = State::Held { failure: Some(words) };
            self.tell_ready(key);
        } else {
            self.start_failed(key, words);
        }
    }

    /// It runs from here on, or never will.
    pub fn let_go(&mut self, key: Key) -> Outcome<Answer> {
        let failure = match &mut self.containers.get_mut(&key).expect("the caller has it").state {
            State::Held { failure } => failure.take(),
            _ => None,
        };
        match failure.map_or_else(|| self.release(key), Err) {
            Ok(()) => Ok(crate::start::started(&self.containers[&key])),
            Err(words) => {
                self.start_failed(key, words.clone());
                Err(Failure::internal(words))
            }
        }
    }

    fn release(&mut self, key: Key) -> Result<(), String> {
        let container = &self.containers[&key];
        let pid = container.pid;
        crun::let_go(&container.called).map_err(|error| format!("let the container's process go: {}", error))?;
        self.container_runs(key, pid, sys::wall_nanos());
        Ok(())
    }
}
