//! A session: a stream of the host's joined to a process started by exec, or to a TCP connection inside the guest. Windows both ways
//! (PROTOCOL.md section 4). How each kind begins is in exec.rs and dial.rs.

use std::os::unix::io::{AsRawFd, OwnedFd};

use serde_json::{json, Value};

use crate::agent::Agent;
use crate::calls::{Answer, Caller};
use crate::children::Ended;
use crate::crun;
use crate::entry::Report;
use crate::failure::{Context, Failure, Outcome};
use crate::input::Input;
use crate::pace::Pace;
use crate::params;
use crate::reactor::{Key, Source, READ};
use crate::stdio::flush_input;
use crate::terminal::{self, ConsoleSocket};
use crate::{sys, wire};

/// Bytes that may be under way in one direction of one part, until the host gives more.
pub const WINDOW: u32 = 65536;
/// With less it waits for more: a reader who is a little behind would otherwise be sent crumbs. A host that has taken everything has given more.
const LEAST_CREDIT: u32 = WINDOW / 4;
/// What a host can give at most, told in the SYNC_ACK.
pub const LARGEST_WINDOW: u32 = 4 << 20;

pub enum Kind {
    /// `pid` is crun's until the process runs, then the process's.
    Process { pid: i32, files: crun::Files },
    /// To a port of the loopback; `to_six` once 127.0.0.1 has refused.
    Connection { port: u16, to_six: bool },
}

pub struct Session {
    pub kind: Kind,
    /// Who waits for it to begin.
    pub opening: Option<Caller>,
    pub tty: bool,
    pub size: Option<(u64, u64)>,
    pub input: Input,
    /// Input bytes for which credit was given back.
    pub credited: u64,
    pub received: u64,
    /// stdout, stderr.
    pub outputs: [Option<OwnedFd>; 2],
    pub credit: [u32; 2],
    pub paces: [Pace; 2],
    pub console: Option<ConsoleSocket>,
    /// Until its program runs, where it came in without crun.
    pub report: Option<Report>,
    pub ended: Option<Ended>,
}

impl Session {
    pub fn new(kind: Kind, opening: Caller, input: Input) -> Session {
        Session {
            kind,
            opening: Some(opening),
            tty: false,
            size: None,
            input,
            credited: 0,
            received: 0,
            outputs: [None, None],
            credit: [WINDOW; 2],
            paces: [Pace::default(), Pace::default()],
            console: None,
            report: None,
            ended: None,
        }
    }

    fn may_send(&self, index: usize) -> bool {
        self.credit[index] >= LEAST_CREDIT
    }
}

impl Agent {
    pub fn new_stream(&self, call: &Value) -> Outcome<Key> {
        let stream = params::number(call, "stream")? as Key;
        if stream == 0 || self.sessions.contains_key(&stream) {
            return Err(Failure::bad(format!("stream {} cannot be opened: ids are above 0 and used once", stream)));
        }
        Ok(stream)
    }

    pub fn session_data(&mut self, stream: Key, data: &[u8]) {
        let session = match self.sessions.get_mut(&stream) {
            Some(session) => session,
            None => return,
        };
        session.received += data.len() as u64;
        if session.received > session.credited + u64::from(WINDOW) {
            return self.close_session(stream);
        }
        session.paces.iter_mut().for_each(Pace::expect_answer);
        session.input.push(data);
        self.flush_session(stream);
    }

    pub fn session_end_input(&mut self, stream: Key) {
        if let Some(session) = self.sessions.get_mut(&stream) {
            session.input.end();
            self.flush_session(stream);
            self.finish_session(stream);
        }
    }

    pub fn flush_session(&mut self, stream: Key) {
        let session = match self.sessions.get_mut(&stream) {
            Some(session) => session,
            None => return,
        };
        flush_input(&mut self.reactor, &mut session.input, Source::SessionInput(stream));
        // What a closed stdin swallowed counts as taken, so that its writer does not wait for ever.
        let taken = if session.input.is_closed() { session.received } else { session.input.taken };
        let fresh = taken - session.credited;
        if fresh > u64::from(WINDOW) / 4 || (fresh > 0 && session.input.queued() == 0) {
            session.credited = taken;
            self.channel.send(wire::CREDIT, 0, stream, &[&(fresh as u32).to_le_bytes()]);
        }
    }

    pub fn session_credit(&mut self, stream: Key, part: u8, payload: &[u8]) {
        let amount = payload.try_into().map(u32::from_le_bytes).unwrap_or(0);
        if let (Some(session), 1..=2) = (self.sessions.get_mut(&stream), part) {
            let credit = &mut session.credit[part as usize - 1];
            *credit = credit.saturating_add(amount).min(LARGEST_WINDOW);
            self.watch_session(stream);
        }
    }

    /// Reads from the session's outputs while the host has given credit and the channel has room.
    pub fn watch_session(&mut self, stream: Key) {
        let room = self.channel.has_room();
        if let Some(session) = self.sessions.get(&stream) {
            // Whether a connection stands is asked of the socket by who opens it; reading would take the answer away.
            if matches!(session.kind, Kind::Connection { .. }) && session.opening.is_some() {
                return;
            }
            for (index, output) in session.outputs.iter().enumerate() {
                self.starved |= !room && output.is_some() && session.may_send(index);
                match output {
                    Some(output) if room && session.may_send(index) && !session.paces[index].resting => {
                        self.reactor.watch(output.as_raw_fd(), Source::SessionOutput(stream, index as u8 + 1), READ)
                    }
                    Some(output) => self.reactor.forget(output.as_raw_fd()),
                    None => {}
                }
            }
        }
    }

    pub fn read_session(&mut self, stream: Key, part: u8) {
        let index = part as usize - 1;
        let room = self.channel.has_room();
        let session = match self.sessions.get_mut(&stream) {
            Some(session) => session,
            None => return,
        };
        let fd = match &session.outputs[index] {
            Some(output) if room && session.may_send(index) => output.as_raw_fd(),
            _ => return self.watch_session(stream),
        };
        let buffer = &mut self.buffer;
        let most = (session.credit[index] as usize).min(buffer.len());
        match sys::read(fd, &mut buffer[..most]) {
            Ok(got) if got > 0 => {
                session.credit[index] -= got as u32;
                if got < most && self.resting.after(&mut session.paces[index], got, Source::SessionOutput(stream, part)) {
                    self.reactor.forget(fd);
                }
                self.channel.send(wire::DATA, part, stream, &[&buffer[..got]]);
                return;
            }
            // Whoever else holds the pipe has no say once the process itself has ended.
            Err(error) if sys::would_block(&error) && session.ended.is_none() => return,
            _ => {}
        }
        self.reactor.forget(fd);
        session.outputs[index] = None;
        self.channel.send(wire::END, part, stream, &[]);
        self.finish_session(stream);
    }

    pub fn session_exited(&mut self, stream: Key, ended: Ended) {
        // Whether it ever ran what it was to run comes first.
        self.session_told(stream);
        match self.sessions.get_mut(&stream) {
            Some(session) => session.ended = Some(ended),
            None => return,
        }
        // What is in the pipes still counts; reading them to the end finishes the session.
        for part in 1..=2 {
            while self.sessions.get(&stream).map_or(false, |session| session.outputs[part - 1].is_some() && session.may_send(part - 1))
                && self.channel.has_room()
            {
                self.read_session(stream, part as u8);
            }
        }
        self.finish_session(stream);
    }

    /// Closes a session whose process has ended and whose output is out, or whose connection is closed both ways.
    fn finish_session(&mut self, stream: Key) {
        let session = match self.sessions.get(&stream) {
            Some(session) => session,
            None => return,
        };
        if session.outputs.iter().any(Option::is_some) || session.opening.is_some() {
            return;
        }
        let how = match (&session.kind, session.ended) {
            (Kind::Process { .. }, Some(ended)) => json!({ "exitCode": ended.code, "signal": ended.signal }),
            (Kind::Connection { .. }, _) if session.input.is_closed() => json!({ "exitCode": 0, "signal": 0 }),
            _ => return,
        };
        self.drop_session(stream);
        self.close_stream(stream, how);
    }

    /// The host wants no more of it.
    pub fn close_session(&mut self, stream: Key) {
        if let Some(session) = self.sessions.get(&stream) {
            match session.kind {
                Kind::Process { pid, .. } if session.ended.is_none() => {
                    // Its process group, if it leads one (with a terminal it does).
                    let _ = sys::signal(-pid, libc::SIGKILL);
                    let _ = sys::signal(pid, libc::SIGKILL);
                }
                _ => {}
            }
            self.drop_session(stream);
            self.close_stream(stream, json!({ "exitCode": 137, "signal": 9 }));
        } else if let Some(container) = self.containers.values_mut().find(|container| container.reader == Some(stream)) {
            container.reader = None;
        }
    }

    fn drop_session(&mut self, stream: Key) {
        if let Some(session) = self.sessions.remove(&stream) {
            let inputs = session.input.fd().into_iter();
            let outputs = session.outputs.iter().flatten().map(AsRawFd::as_raw_fd);
            let entrance = session.console.as_ref().map(ConsoleSocket::fd).into_iter().chain(session.report.as_ref().map(Report::fd));
            for fd in inputs.chain(outputs).chain(entrance) {
                self.reactor.forget(fd);
            }
            if let Kind::Process { files, .. } = &session.kind {
                files.remove();
            }
        }
    }

    /// To its first process, which a session that has just begun may not have yet: then the caller tries again.
    pub fn signal_session(&mut self, call: &Value) -> Outcome<Answer> {
        let stream = params::number(call, "stream")? as Key;
        let signal = params::number(call, "signal")?;
        if !(1..=64).contains(&signal) {
            return Err(Failure::bad(format!("signal {} is not one of 1 to 64", signal)));
        }
        match self.sessions.get(&stream) {
            Some(Session { kind: Kind::Process { pid, .. }, ended: None, opening: None, .. }) => {
                let _ = sys::signal(*pid, signal as i32);
                Ok(Answer::Done)
            }
            Some(session) if session.opening.is_some() => Err(Failure::precondition(format!("session {} has not begun", stream))),
            _ => Ok(Answer::Done),
        }
    }

    pub fn resize_session(&mut self, call: &Value) -> Outcome<Answer> {
        let stream = params::number(call, "stream")? as Key;
        let size = (params::number(call, "columns")?, params::number(call, "rows")?);
        let session = match self.sessions.get_mut(&stream) {
            Some(session) if session.tty => session,
            Some(_) => return Err(Failure::precondition(format!("session {} has no terminal", stream))),
            None => return Ok(Answer::Done),
        };
        session.size = Some(size);
        if let Some(master) = &session.outputs[0] {
            terminal::resize(master.as_raw_fd(), size.0, size.1).context(|| "resize the terminal".into())?;
        }
        Ok(Answer::Done)
    }
}
