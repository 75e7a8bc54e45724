//! `create`: the container is made while the caller waits, and a holder stays behind (holder.rs) whose pid the caller gets.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::io::OwnedFd;

use serde_json::json;

use crate::failure::{Context, Failure, Outcome};
use crate::holder::{self, Ask};
use crate::options::{parse, Flag, Global, Parsed};
use crate::service::{self, Connection};
use crate::{files, sys, terminal};

pub const FLAGS: &[Flag] = &[
    Flag("bundle", 'b', true),
    Flag("pid-file", ' ', true),
    Flag("console-socket", ' ', true),
    Flag("no-pivot", ' ', false),
    Flag("no-new-keyring", ' ', false),
    Flag("preserve-fds", ' ', true),
];

pub fn run(global: &Global, arguments: &[String]) -> Outcome<i32> {
    let options = parse(arguments, FLAGS, false)?;
    let id = options.id()?;
    refuse_descriptors(&options)?;
    detach(ask(global, &options, id, false)?, options.path("pid-file"))
}

/// What `create` and `run` ask for.
pub fn ask(global: &Global, options: &Parsed, id: &str, foreground: bool) -> Outcome<Ask> {
    let bundle = files::absolute(options.value("bundle").unwrap_or("."))?;
    let mut params = json!({ "root": global.root, "id": id, "bundle": bundle });
    if let Some(handler) = handler_of(&std::env::args().next().unwrap_or_default()) {
        params["handler"] = json!(handler);
    }
    let console_socket = options.path("console-socket").map(String::from);
    Ok(Ask { method: "create", params, console_socket, foreground })
}

/// The same program under another name makes its machines on the host. Engines that know a runtime by its path have no other way to say so for a whole pod.
fn handler_of(program: &str) -> Option<&'static str> {
    match program.rsplit('/').next() {
        Some("sampan-runtime-namespace") => Some("namespace"),
        _ => None,
    }
}

/// Descriptors of the host do not reach into a guest.
pub fn refuse_descriptors(options: &Parsed) -> Outcome<()> {
    match options.value("preserve-fds").unwrap_or("0") {
        "0" => Ok(()),
        _ => Err(Failure::new("--preserve-fds is not supported: open descriptors of the host do not reach the container's machine")),
    }
}

/// Forks the holder, waits until it holds, and writes its pid file.
pub fn detach(ask: Ask, pid_file: Option<&str>) -> Outcome<i32> {
    terminal::fill_standard_streams()?;
    let connection = service::connect()?;
    let (read_end, write_end) = sys::pipe()?;
    let pid = sys::check(unsafe { libc::fork() }, "fork")?;
    if pid == 0 {
        drop(read_end);
        std::process::exit(be_holder(connection, ask, write_end));
    }
    drop((write_end, connection));
    let mut words = String::new();
    File::from(read_end).take(1 << 20).read_to_string(&mut words).context(|| "the holder's words".into())?;
    if words != "ok" {
        unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
        let message = words.strip_prefix("error ").unwrap_or("the holder of the container ended before it was made");
        return Err(Failure::new(message));
    }
    if let Some(path) = pid_file {
        if let Err(failure) = files::write_pid_file(path, pid) {
            unsafe { libc::kill(pid, libc::SIGKILL) };
            return Err(failure);
        }
    }
    Ok(0)
}

fn be_holder(connection: Connection, ask: Ask, report: OwnedFd) -> i32 {
    unsafe { libc::prctl(libc::PR_SET_NAME, b"sampan-holder\0".as_ptr()) };
    let mut report = Some(File::from(report));
    let mut say = |words: &str| report.take().map_or(Ok(()), |mut pipe| pipe.write_all(words.as_bytes())).context(|| "tell the caller".into());
    let outcome = holder::hold(connection, ask, || say("ok"));
    outcome.unwrap_or_else(|failure| {
        let _ = say(&format!("error {}", failure.message));
        1
    })
}

#[cfg(test)]
mod tests {
    use super::handler_of;

    #[test]
    fn the_name_of_the_program_says_where_machines_are_made() {
        assert_eq!(handler_of("/usr/local/bin/sampan-runtime-namespace"), Some("namespace"));
        for other in ["sampan-runtime", "/sampan-runtime-namespace/sampan-runtime", ""] {
            assert_eq!(handler_of(other), None);
        }
    }
}
