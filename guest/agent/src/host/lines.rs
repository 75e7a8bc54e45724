//! `sampan-agent lines`: commands of this program as lines on stdin, with tabs between their fields, one after another. Each is answered by a line, `ok`
//! or `error REASON: WORDS`. Whoever keeps this open asks without starting a program: for a large process that costs more than what is asked for.

use std::io::{self, BufRead};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use super::gifts;
use crate::failure::{Context, Failure, Outcome};

/// What a machine that could not be made has said is cut here.
const WORDS: usize = 16 * 1024;

pub fn serve() -> Outcome<()> {
    for line in io::stdin().lock().lines() {
        let line = line.context(|| "read stdin".into())?;
        let fields: Vec<String> = line.split('\t').map(decoded).collect();
        match obey(&fields) {
            Ok(()) => println!("ok"),
            Err(words) => println!("error {}", words.trim().replace('\n', " ")),
        }
    }
    Ok(())
}

fn obey(fields: &[String]) -> Result<(), String> {
    let said = |failure: Failure| format!("{}: {}", failure.reason, failure.message);
    match fields.split_first() {
        Some((word, arguments)) if word == "give" => gifts::give(arguments).map_err(said),
        Some((word, _)) if word == "machine" => make_machine(fields),
        _ => Err(said(Failure::bad("wanted give or machine, and its arguments"))),
    }
}

/// In a process of its own: what becomes a machine has nothing of ours. It dies with us as long as there is no machine.
fn make_machine(fields: &[String]) -> Result<(), String> {
    let mut command = Command::new("/proc/self/exe");
    command.args(fields).stdin(Stdio::null());
    // Under the name that people and tools know it by.
    if let Some(name) = std::env::args_os().next() {
        command.arg0(name);
    }
    unsafe { command.pre_exec(|| crate::sys::check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL)).map(drop)) };
    let output = command.output().map_err(|error| format!("InternalError: start the agent: {}", error))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr[..output.stderr.len().min(WORDS)]).into_owned();
    Err(if words.trim().is_empty() { format!("InternalError: the agent ended ({})", output.status) } else { words })
}

/// %25, %09 and %0A stand for what cannot stand in a line.
fn decoded(field: &str) -> String {
    field.replace("%09", "\t").replace("%0A", "\n").replace("%25", "%")
}
