//! The holder: the process on the host that stands for one container (or one exec process) towards whoever called.
//!
//!   asks (create | exec) ──▶ prepares the streams ──▶ holds ──── the service says how it ended ──▶ ends with that code
//!                                                      │ ▲
//!                                        service gone  ▼ │ asks again (hold)
//!                                                    retries
//!
//! Signals that reach it and sizes of its terminal go to the service; when it is killed, the service kills the container.

use std::os::unix::io::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::{json, Value};

use crate::failure::{Failure, Outcome};
use crate::service::{self, Connection};
use crate::stdio::{self, Stdio};
use crate::{root, session, signals, sys, terminal};

/// How long to wait between two tries to find the service again.
const RETRY_MS: i32 = 250;

/// What the caller of the service learns when it has forgotten the container: killed.
const LOST: i32 = 137;

pub struct Ask {
    /// "create" or "exec".
    pub method: &'static str,
    pub params: Value,
    pub console_socket: Option<String>,
    /// The caller waits and its terminal is ours: no session of our own, no root of the container.
    pub foreground: bool,
}

struct Holder {
    connection: Option<Connection>,
    signals: OwnedFd,
    stdio: Stdio,
    /// The directory of the service's socket, opened before the root changed, and the socket's name in it.
    place: Option<(OwnedFd, String)>,
    params: Value,
    terminal: bool,
    /// A foreground terminal's settings, to be put back.
    before: Option<libc::termios>,
}

/// Runs to the process's end and gives its exit code. `ready` is called once it is created (or runs, for an exec).
pub fn hold(mut connection: Connection, ask: Ask, ready: impl FnOnce() -> Outcome<()>) -> Outcome<i32> {
    if !ask.foreground {
        unsafe { libc::setsid() };
    } else if ask.console_socket.is_some() {
        session::lead()?;
    }
    let signals = signals::take_all()?;
    let mut params = ask.params;
    params["pid"] = json!(std::process::id());
    connection.send(&json!({ "method": ask.method, "params": params }))?;
    let prepare = connection.next()?.ok_or_else(|| Failure::new("the runtime service went away"))?;
    if prepare["prepare"].is_null() {
        return service::result_of(prepare).and_then(|_| Err(Failure::new("the runtime service answered out of turn")));
    }
    let terminal = prepare["prepare"]["terminal"].as_bool().unwrap_or(false);
    let before = take_terminal(terminal, ask.console_socket.as_deref(), ask.foreground)?;
    let stdio = stdio::describe(terminal)?;
    let mut holder = Holder { connection: Some(connection), signals, stdio, place: open_place(), params, terminal, before };
    let outcome = holder.run(&prepare["prepare"], ask.foreground, ready);
    if let Some(before) = &holder.before {
        terminal::restore(0, before);
    }
    outcome
}

fn take_terminal(terminal: bool, console_socket: Option<&str>, foreground: bool) -> Outcome<Option<libc::termios>> {
    match (terminal, console_socket) {
        (true, Some(socket)) => terminal::hand_over(socket).map(|_| None),
        (true, None) if foreground && unsafe { libc::isatty(0) } == 1 => terminal::make_raw(0).map(Some),
        (true, None) if foreground => Ok(None),
        (true, None) => Err(Failure::new("cannot allocate tty without a console socket: give --console-socket")),
        (false, Some(_)) => Err(Failure::new("cannot use a console socket: no terminal is asked for")),
        (false, None) => Ok(None),
    }
}

/// The service is found again from here, even when no path of the host can be seen any more.
fn open_place() -> Option<(OwnedFd, String)> {
    let socket = service::socket_path()?;
    let directory = sys::open(socket.parent()?.to_str()?, libc::O_PATH | libc::O_DIRECTORY).ok()?;
    Some((directory, socket.file_name()?.to_str()?.to_string()))
}

impl Holder {
    fn run(&mut self, prepare: &Value, foreground: bool, ready: impl FnOnce() -> Outcome<()>) -> Outcome<i32> {
        let paths = self.stdio.paths.take();
        self.tell(json!({ "stdio": paths }));
        let answer = match &mut self.connection {
            Some(connection) => connection.answer(),
            None => Err(Failure::new("the runtime service went away")),
        };
        answer?;
        self.tell_size();
        ready()?;
        if !foreground {
            sys::close_others(&self.kept());
            if let Some(rootfs) = prepare["rootfs"].as_str() {
                root::enter(rootfs)?;
            }
        }
        Ok(self.wait())
    }

    fn kept(&self) -> Vec<RawFd> {
        let mut kept = self.stdio.kept();
        kept.push(self.signals.as_raw_fd());
        kept.extend(self.connection.iter().map(|connection| connection.stream.as_raw_fd()));
        kept.extend(self.place.iter().map(|(directory, _)| directory.as_raw_fd()));
        kept
    }

    fn wait(&mut self) -> i32 {
        loop {
            match self.heard() {
                Some(code) => {
                    self.stdio.drain();
                    // Ending as the terminal's owner would hang it up, and what its reader has not read yet would be gone.
                    if self.terminal && self.before.is_none() {
                        unsafe { libc::ioctl(0, libc::TIOCNOTTY) };
                    }
                    return code;
                }
                None => self.turn(),
            }
        }
    }

    /// What the service has said: how it ended, if it has. A service that was taken down for good, with all its containers, says nothing any more.
    fn heard(&mut self) -> Option<i32> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => return self.is_torn_down().then_some(LOST),
        };
        let value = match connection.buffered() {
            Ok(Some(value)) => value,
            Ok(None) => return None,
            Err(_) => {
                self.connection = None;
                return None;
            }
        };
        if value["error"].is_object() {
            return Some(LOST);
        }
        value["exit"]["code"].as_i64().map(|code| code as i32 & 0xff)
    }

    /// Waits for anything to happen and does what it asks for.
    fn turn(&mut self) {
        let connection = self.connection.as_ref().map_or(-1, |connection| connection.stream.as_raw_fd());
        let mut wanted = vec![
            libc::pollfd { fd: self.signals.as_raw_fd(), events: libc::POLLIN, revents: 0 },
            libc::pollfd { fd: connection, events: libc::POLLIN, revents: 0 },
        ];
        wanted.extend(self.stdio.wanted());
        let patience = if connection < 0 { RETRY_MS } else { -1 };
        unsafe { libc::poll(wanted.as_mut_ptr(), wanted.len() as libc::nfds_t, patience) };
        while let Some(signal) = signals::next(&self.signals) {
            if signal == libc::SIGWINCH {
                self.tell_size();
            } else if signals::is_forwarded(signal) {
                self.tell(json!({ "signal": signal }));
            }
        }
        self.stdio.pump();
        if connection < 0 {
            self.reconnect();
        } else if wanted[1].revents != 0 {
            let alive = self.connection.as_mut().map_or(false, |connection| connection.fill().unwrap_or(false));
            // Its last words may be complete in the buffer.
            if !alive && self.heard_nothing() {
                self.connection = None;
            }
        }
    }

    fn heard_nothing(&mut self) -> bool {
        match &self.connection {
            Some(connection) => !connection.has_line(),
            None => true,
        }
    }

    /// A service that ended comes back to the directory of its socket; who takes down what it made removes that.
    fn is_torn_down(&self) -> bool {
        self.place.as_ref().map_or(false, |(directory, _)| matches!(sys::links(directory.as_raw_fd()), Ok(0)))
    }

    fn reconnect(&mut self) {
        let (directory, name) = match &self.place {
            Some((directory, name)) => (directory.as_raw_fd(), name),
            None => return,
        };
        unsafe { libc::fchdir(directory) };
        if let Ok(stream) = UnixStream::connect(Path::new(name)) {
            self.connection = Some(Connection::new(stream));
            self.tell(json!({ "method": "hold", "params": self.params.clone() }));
            self.tell_size();
        }
    }

    fn tell_size(&mut self) {
        if self.terminal {
            if let Some(size) = terminal::size() {
                self.tell(size);
            }
        }
    }

    fn tell(&mut self, message: Value) {
        if let Some(connection) = &mut self.connection {
            if connection.send(&message).is_err() {
                self.connection = None;
            }
        }
    }
}
