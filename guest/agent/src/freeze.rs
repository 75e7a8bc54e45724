//! Holding a container's processes still, and naming them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{json, Value};

use crate::agent::Agent;
use crate::calls::Answer;
use crate::container::State;
use crate::failure::{Context, Failure, Outcome};
use crate::{cgroup, params};

/// Processes of one answer; a container's limit is far below.
const MOST_PROCESSES: usize = 40_000;

impl Agent {
    /// Takes effect at once for every process; SIGKILL still ends a frozen one (cgroup v2).
    pub fn freeze(&mut self, call: &Value) -> Outcome<Answer> {
        let key = self.container_of(call)?;
        let container = &self.containers[&key];
        if !matches!(container.state, State::Running) {
            return Err(Failure::precondition(format!("container {} is {}, not running", container.id, container.state_name())));
        }
        let (file, words) = freezer(&container.cgroup());
        let word = if params::flag(call, "frozen") { words.0 } else { words.1 };
        fs::write(&file, word).context(|| format!("write {} to {}", word, file.display()))?;
        Ok(Answer::Done)
    }

    pub fn processes(&mut self, call: &Value) -> Outcome<Answer> {
        let key = self.container_of(call)?;
        let mut pids = cgroup::processes(&cgroup::path(&self.containers[&key].cgroup()));
        pids.truncate(MOST_PROCESSES);
        Ok(Answer::With(json!(pids)))
    }
}

pub fn is_frozen(group: &str) -> bool {
    let (file, (frozen, _)) = freezer(group);
    fs::read_to_string(file).map_or(false, |state| state.trim() == frozen)
}

/// The file that freezes a group, and what to write to it: frozen, thawed.
fn freezer(group: &str) -> (PathBuf, (&'static str, &'static str)) {
    let file = cgroup::path(group).join("cgroup.freeze");
    if file.exists() {
        return (file, ("1", "0"));
    }
    (Path::new("/sys/fs/cgroup/freezer").join(group).join("freezer.state"), ("FROZEN", "THAWED"))
}
