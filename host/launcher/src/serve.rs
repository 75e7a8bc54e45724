//! The commands of a holder: one a line on stdin, fields separated by tabs; each is answered by one line,
//! `ok`, `ok TEXT` or `error WORDS`.
//!
//!   send ACCESS PATH JSON   open PATH (ACCESS r, rw, or new: created, empty) and send the QMP line JSON with it; answers QMP's answer
//!   call JSON               the same without a descriptor, on the same connection
//!   park                    stop the VMM's process and let the spare tap's placeholder device go
//!   tap NAME                tie the spare tap to the device NAME
//!   wake                    let the VMM's process run on
//!   release                 answer, then leave the VMM alone and end
//!   keep                    wait for the VMM to end, seal its memory, answer `ok PATH`, and from then on only hold that memory:
//!                           for as long as this process lives, PATH (/proc/PID/fd/N) is the template's memory.
//!                           It ends by itself when its directory is removed
//!
//! When stdin ends before `release` or `keep`, the VMM is killed.

use crate::process::{self, Started};
use crate::qmp::Monitor;
use crate::{descriptors, memory, sys};
use std::io::{BufRead, Read, Write};
use std::os::unix::io::{AsRawFd, OwnedFd};

const MAX_LINE: u64 = 64 * 1024;

pub struct Target {
    /// QMP socket for `send`.
    pub socket: Option<String>,
    /// The VMM this process started; none for `pass`.
    pub vmm: Option<Started>,
}

enum Next {
    Go(String),
    End,
    Hold(memory::Held, String),
}

pub fn serve(mut target: Target) -> Result<(), String> {
    let stdin = std::io::stdin();
    let mut input = stdin.lock();
    let mut monitor = None;
    loop {
        let mut line = String::new();
        let read = Read::by_ref(&mut input).take(MAX_LINE).read_line(&mut line);
        if !matches!(read, Ok(count) if count > 0 && line.ends_with('\n')) {
            return abandon(&target);
        }
        let fields: Vec<&str> = line.trim_end_matches('\n').split('\t').collect();
        match execute(&mut target, &mut monitor, &fields) {
            Ok(Next::Go(text)) => say(format!("ok {}", text).trim_end())?,
            Ok(Next::End) => return say("ok"),
            Ok(Next::Hold(memory, path)) => {
                say(&format!("ok {}", path))?;
                return hold(memory);
            }
            Err(message) => say(&format!("error {}", message.replace('\n', " ")))?,
        }
    }
}

/// One line on stdout, at once.
pub fn say(line: &str) -> Result<(), String> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{}", line)
        .and_then(|_| output.flush())
        .map_err(|error| format!("answer: {}", error))
}

fn execute(target: &mut Target, monitor: &mut Option<Monitor>, fields: &[&str]) -> Result<Next, String> {
    match fields {
        ["send", access, path, json] => {
            let descriptor = open_for(access, path)?;
            connected(target, monitor)?.call(json, Some(&descriptor)).map(Next::Go)
        }
        ["call", json] => connected(target, monitor)?.call(json, None).map(Next::Go),
        ["park"] => {
            // Connected now, because the socket may be renamed with its directory before it is needed.
            connected(target, monitor)?;
            signal(target, libc::SIGSTOP)?;
            match vmm(target)?.spare_tap.as_mut() {
                Some(tap) => tap.loosen()?,
                None => return Err("park needs --spare-tap".into()),
            }
            Ok(Next::Go(String::new()))
        }
        ["tap", name] => {
            let tap = vmm(target)?.spare_tap.as_mut().ok_or("tap needs --spare-tap")?;
            tap.tie(name)?;
            Ok(Next::Go(String::new()))
        }
        ["wake"] => {
            signal(target, libc::SIGCONT)?;
            Ok(Next::Go(String::new()))
        }
        ["release"] => Ok(Next::End),
        ["keep"] => keep(target),
        _ => Err(format!("unknown command {:?}", fields.first().unwrap_or(&""))),
    }
}

/// The one connection to the VMM's monitor, made when it is first needed and kept: descriptors sent by name belong to it.
fn connected<'a>(target: &Target, monitor: &'a mut Option<Monitor>) -> Result<&'a mut Monitor, String> {
    if monitor.is_none() {
        let socket = target.socket.as_ref().ok_or("no --monitor was given")?;
        *monitor = Some(Monitor::connect(socket)?);
    }
    monitor.as_mut().ok_or_else(|| "no monitor".into())
}

fn open_for(access: &str, path: &str) -> Result<OwnedFd, String> {
    match access {
        "r" => descriptors::file(path, false),
        "rw" => descriptors::file(path, true),
        "new" => sys::open(path, libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW, 0o600),
        _ => Err(format!("access is r, rw or new, not {:?}", access)),
    }
}

fn keep(target: &mut Target) -> Result<Next, String> {
    let started = vmm(target)?;
    let memory = started.memory.take().ok_or("keep needs --memory")?;
    // Its placeholder device goes with the descriptor.
    started.spare_tap = None;
    process::reap(started.pid);
    memory::seal(&memory)?;
    let path = format!("/proc/{}/fd/{}", std::process::id(), memory.as_raw_fd());
    Ok(Next::Hold(memory::Held::new(memory, &started.directory)?, path))
}

/// Does nothing until it is killed or its directory goes: the server that made the template may come and go.
fn hold(held: memory::Held) -> Result<(), String> {
    let null = sys::open("/dev/null", libc::O_RDWR, 0)?;
    for standard in 0..3 {
        sys::check(unsafe { libc::dup2(null.as_raw_fd(), standard) }, "standard streams")?;
    }
    held.until_directory_is_gone();
    Ok(())
}

fn abandon(target: &Target) -> Result<(), String> {
    if let Some(started) = &target.vmm {
        process::kill_and_reap(started.pid);
    }
    Ok(())
}

fn vmm(target: &mut Target) -> Result<&mut Started, String> {
    target.vmm.as_mut().ok_or_else(|| "this command needs a VMM that was started here".into())
}

fn signal(target: &mut Target, number: libc::c_int) -> Result<(), String> {
    let pid = vmm(target)?.pid;
    sys::check(unsafe { libc::kill(pid, number) }, "signal the VMM").map(|_| ())
}
