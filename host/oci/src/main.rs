//! sampan-runtime: the OCI runtime command line (what Podman, conmon and callers of runc call).
//!
//! Owns: the arguments, what a caller expects of a process on the host (pid files, console sockets, exit codes, signals), the log of errors.
//! Does not own: containers. The node's one runtime service does everything; this command asks it over a socket (service.rs) and ends.
//!
//! What stays of `create` and of a detached `exec` is one small process, the holder (holder.rs): the caller's handle on the container, with
//! the caller's stdin, stdout and stderr open, which the service opens through it. No byte of a container passes through it, unless the caller
//! gave a socket where a pipe, file or terminal is usual.

mod calls;
mod create;
mod exec;
mod failure;
mod files;
mod holder;
mod options;
mod report;
mod root;
mod run;
mod service;
mod session;
mod signals;
mod spec;
mod stdio;
mod sys;
mod terminal;
mod update;

use failure::Outcome;
use options::Global;

const USAGE: &str = "sampan-runtime [--root DIR] [--log FILE] [--log-format text|json] [--systemd-cgroup] [--debug] COMMAND

  create --bundle DIR [--pid-file FILE] [--console-socket SOCKET] ID   make a container; its process waits for start
  start ID                             let it run
  run [--bundle DIR] [--detach] [--keep] [--pid-file FILE] [--console-socket SOCKET] ID   create and start; wait for its end and delete it, or leave it
  state ID                             what it is, as runtime-spec's JSON
  kill [--all] ID [SIGNAL]             signal its first process, or all (default TERM)
  delete [--force] ID                  forget it; with --force, kill it first
  exec [--process FILE] [--detach] [--tty] [--pid-file FILE] [--console-socket SOCKET] [--cwd DIR] [--env K=V] [--user UID[:GID]] [--cap CAP] ID [COMMAND...]
  ps [--format table|json] ID          its processes, as the guest counts them
  pause ID, resume ID
  update [--resources FILE] [--memory BYTES] [--cpu-quota US] [--cpu-period US] [--cpu-share N] [--pids-limit N] ID
  events [--stats] [--interval SECONDS] ID
  list [--format table|json] [--quiet]
  features                             what this runtime can do, as runtime-spec's JSON
  spec [--bundle DIR]                  write a config.json to begin with";

fn main() {
    let arguments: Vec<String> = std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    std::process::exit(match options::parse_global(&arguments) {
        Ok((global, command)) => finish(&global, dispatch(&global, &command)),
        Err(failure) => finish(&Global::default(), Err(failure)),
    });
}

fn finish(global: &Global, outcome: Outcome<i32>) -> i32 {
    outcome.unwrap_or_else(|failure| {
        report::report(&failure, global);
        1
    })
}

/// Gives the exit code.
fn dispatch(global: &Global, command: &[String]) -> Outcome<i32> {
    let (name, rest) = match command.split_first() {
        Some((name, rest)) => (name.as_str(), rest),
        None => ("help", command),
    };
    match name {
        "create" => create::run(global, rest),
        "run" => run::run(global, rest),
        "exec" => exec::run(global, rest),
        "start" | "state" | "kill" | "delete" | "ps" | "pause" | "resume" | "events" | "list" => calls::run(global, name, rest),
        "update" => update::run(global, rest),
        "features" => files::print(spec::FEATURES),
        "spec" => spec::run(rest),
        "help" => files::print(USAGE),
        "version" => files::print(&format!("sampan-runtime version {}\nspec: {}", env!("CARGO_PKG_VERSION"), spec::SPEC_VERSION)),
        other => Err(failure::Failure::new(format!("there is no command {:?}; sampan-runtime help shows them", other))),
    }
}
